"""Which versions of the EFS driver take the startup taint off; that one does is shown on nodes (engine and end-to-end tier)."""

from __future__ import annotations

import pytest

from components import efs_driver


@pytest.mark.parametrize(
    "version", ["v3.4.2-eksbuild.1", "v2.3.0-eksbuild.2", "v3.5.1-eksbuild.1", "v10.0.0-eksbuild.1", "3.4.1", "latest"]
)
def test_nothing_is_known_against_it(version: str) -> None:
    assert efs_driver.startup_taints(version) == ("efs.csi.aws.com/agent-not-ready",)


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("v3.5.0-eksbuild.1", "never takes the startup taint off: it waits for a volume limit"),
        ("v2.2.9-eksbuild.1", "loses the removal of the startup taint now and then"),
        ("v1.7.7-eksbuild.1", "loses the removal"),
    ],
)
def test_a_version_that_leaves_it_on_is_refused_with_the_way_out(version: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"the EFS driver {version} {reason}.*Set workers\.awaitEfsDriver to false"):
        efs_driver.startup_taints(version)
