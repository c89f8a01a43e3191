"""Kubernetes versions of EKS: which step AWS allows, and updates that take a while.

Only records move. The control plane and the kubelets that run here are of one version (`toolchain.KUBERNETES_VERSION`), whatever the
records say.
"""

from __future__ import annotations

from collections.abc import Iterable

from embedded.aws_records import VERSIONS, Params, Record, cluster_of, error, started_update
from embedded.cloud import Cloud

NODES_BEHIND = 3
"""Minor versions that a node may be older than its control plane (EKS user guide, Update existing cluster to new Kubernetes version)."""


def minor(version: str) -> int:
    """35 of 1.35."""
    return int(version.partition(".")[2])


def check_cluster_step(now: str, wanted: str, groups: Iterable[Record]) -> None:
    """Refuse what is no step of a control plane: another than the next minor version, or one that leaves its nodes too far behind.

    Going back within seven days, which AWS can do, is not modelled and refused like the rest.
    """
    if wanted not in VERSIONS or minor(wanted) != minor(now) + 1:
        raise error("InvalidParameterException", f"Unsupported Kubernetes minor version update from {now} to {wanted}")
    behind = [group["nodegroupName"] for group in groups if minor(wanted) - minor(group["version"]) > NODES_BEHIND]
    if behind:
        message = f"Nodegroups {', '.join(behind)} would be more than {NODES_BEHIND} minor versions older than {wanted}: update them first"
        raise error("InvalidRequestException", message)


def check_node_step(cluster: str, now: str, wanted: str) -> None:
    """Refuse nodes that are newer than the control plane, and those that would go back (API reference, UpdateNodegroupVersion)."""
    if wanted not in VERSIONS:
        raise error("InvalidParameterException", f"unsupported Kubernetes version {wanted}; there are {', '.join(VERSIONS)}")
    if minor(wanted) > minor(cluster):
        raise error("InvalidParameterException", f"Nodegroup Kubernetes version {wanted} is newer than the cluster's, which is {cluster}")
    if minor(wanted) < minor(now):
        raise error("InvalidParameterException", f"Nodegroup cannot be rolled back from Kubernetes version {now} to {wanted}")


def check_new_nodes(cluster: str, wanted: str) -> None:
    """A new group takes the cluster's version, the only one accepted (API reference, CreateNodegroup)."""
    if wanted != cluster:
        message = f"Nodegroup Kubernetes version {wanted} is not the cluster's, which is {cluster}, and the only one accepted"
        raise error("InvalidParameterException", message)


def check_idle(record: Record, what: str) -> None:
    """AWS makes one change after the other."""
    if record["status"] == "UPDATING":
        raise error("ResourceInUseException", f"{what} is being updated: its status is UPDATING")


def update_cluster_version(cloud: Cloud, params: Params) -> Params:
    """One minor version up; the cluster is UPDATING until then."""
    cluster = cluster_of(params["name"])
    check_idle(cluster, f"Cluster {params['name']}")
    check_cluster_step(cluster["version"], params["version"], cluster["nodegroups"].values())
    return started_update(cluster, cluster, "VersionUpdate", {"version": params["version"]}, {"version": params["version"]})
