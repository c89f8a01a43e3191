"""A4: which instance types may share a node group."""

from __future__ import annotations

import pytest

from components import spot_pools
from components.spot_pools import Shape, same_shape
from tests.conftest import INSTANCE_TYPES


def shapes(*names: str) -> list[Shape]:
    """Shapes as EC2 gives them."""
    return [
        Shape(instance_type=name, vcpus=vcpus, memory_mib=memory, architectures=tuple(architectures), gpus=gpus)
        for name in names
        for vcpus, memory, architectures, gpus in [INSTANCE_TYPES[name]]
    ]


def test_the_labs_three_types_share_a_group() -> None:
    assert same_shape("ng-spot1", shapes("m5.large", "m4.large", "m5a.large")).vcpus == 2


def test_an_old_type_that_also_runs_32_bits_is_x86() -> None:
    assert same_shape("ng", shapes("t3.large", "m5.large")).architecture == "x86_64"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("m5.large", "m5.xlarge"), "m5.large and m5.xlarge differ: 2 vs 4 vCPU"),
        (("m5.large", "c5.large"), "m5.large and c5.large differ: 8 vs 4 GiB of memory"),
        (("m5.large", "m7g.large"), "m5.large and m7g.large differ: x86_64 vs arm64"),
        (("g5.xlarge",), "g5.xlarge has 1 GPU(s)"),
    ],
)
def test_types_of_different_shapes_are_refused_with_the_reason(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match="The Cluster Autoscaler plans with the first type only") as caught:
        same_shape("ng-spot1", shapes(*names))
    assert message in str(caught.value)
    assert "node group ng-spot1" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["m5.large", "m5a.24xlarge", "c6gn.medium", "u-6tb1.metal", "t3.micro", "m7i-flex.large", "i4i.metal-24xl"]
)
def test_names_of_real_types_are_accepted(name: str) -> None:
    problem = spot_pools.name_problem(name)
    assert problem is None or name.startswith("u-"), problem


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("m5.lage", "did you mean m5.large?"),
        ("m5.xlrge", "did you mean m5.xlarge?"),
        ("m5", "m5 is no instance type"),
        ("m5.gigantic", "no size is called gigantic"),
    ],
)
def test_misspelled_types_are_refused(name: str, message: str) -> None:
    assert message in (spot_pools.name_problem(name) or "")


@pytest.mark.parametrize(
    ("name", "arm"),
    [("m7g.large", True), ("c6gn.large", True), ("a1.large", True), ("g5.xlarge", False), ("m5.large", False), ("p4d.24xlarge", False)],
)
def test_graviton_is_told_by_its_name(name: str, arm: bool) -> None:
    assert spot_pools.is_arm(name) is arm
