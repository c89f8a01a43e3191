"""What the Cluster Autoscaler must know of a node group that has no node to look at: tags of its Auto Scaling group. Pure.

From the first node on it copies a real one; before that it plans with what these tags say (cluster-autoscaler, cloudprovider/aws/README.md,
"Auto-discovery setup"). It plans with the group's first zone too: nothing here depends on a zone, because the shared file system answers in
all of them. A volume that lives in one zone (EBS) would need a group for each.
"""

from __future__ import annotations

from components import spot_pools

TEMPLATE = "k8s.io/cluster-autoscaler/node-template"
OWNER = "k8s.io/cluster-autoscaler"
"""With the cluster's name behind it and the value `owned`: the groups that the autoscaler's IAM policy lets it change. EKS sets it too."""


def node_template_tags(*, lifecycle: str, taint_effect: str | None, volume_gib: int) -> dict[str, tuple[str, str]]:
    """A short name for each tag to its key and value."""
    found = {
        "label": (f"{TEMPLATE}/label/{spot_pools.LIFECYCLE_LABEL}", lifecycle),
        "disk": (f"{TEMPLATE}/resources/ephemeral-storage", f"{allocatable_disk_gib(volume_gib)}Gi"),
    }
    if taint_effect:
        found["taint"] = (f"{TEMPLATE}/taint/{spot_pools.TAINT_KEY}", f"{spot_pools.TAINT_VALUE}:{spot_pools.EFFECTS[taint_effect]}")
    return found


def allocatable_disk_gib(volume_gib: int) -> int:
    """What the kubelet leaves to pods of a node's disk: nine tenths (its eviction threshold) but the GiB that EKS's node image reserves."""
    return volume_gib * 9 // 10 - 1
