"""The EFS CSI driver as far as its version matters: whether it takes its startup taint off a new node. Pure.

A pod that is on a node before the driver's node half is registered there cannot mount ("driver name efs.csi.aws.com not found in the list
of registered CSI drivers") and is retried seconds to minutes later. With the taint it is not scheduled there until the driver has taken
the taint off (aws-efs-csi-driver, docs/install.md, "Configure node startup taint").
"""

from __future__ import annotations

import re

ADD_ON = "aws-efs-csi-driver"
STARTUP_TAINT = "efs.csi.aws.com/agent-not-ready"
EFFECT = "NO_EXECUTE"
"""EKS's spelling of the effect that the driver's documentation recommends."""
RELIABLE_SINCE = (2, 3, 0)
"""Earlier versions do not look whether their removal lasted: one that met another change of the node was lost, and the taint stayed."""
NEVER = {(3, 5, 0): "waits for a volume limit in the CSINode that a driver of network file systems never has"}
"""Versions that keep the taint for ever, and why (aws-efs-csi-driver, checkDriverRegistration)."""


def problem(version: str) -> str | None:
    """Why nodes could keep the taint with this version of the add-on; None: nothing is known against it."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    if not found:
        return None
    number = (int(found[1]), int(found[2]), int(found[3]))
    if number < RELIABLE_SINCE:
        return f"{version} loses the removal of the startup taint now and then"
    return f"{version} never takes the startup taint off: it {NEVER[number]}" if number in NEVER else None


def startup_taints(version: str) -> tuple[str, ...]:
    """Keys of the taints that new nodes begin with.

    Raises:
        ValueError: the version of the add-on is known to leave them on.
    """
    if why := problem(version):
        raise ValueError(
            f"the EFS driver {why}; a node that keeps it runs no task. Set workers.awaitEfsDriver to false until EKS's default version of "
            f"{ADD_ON} is another: a first mount is then retried for some seconds"
        )
    return (STARTUP_TAINT,)
