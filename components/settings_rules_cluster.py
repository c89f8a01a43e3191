"""Rules for the cluster and its nodes. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING

from components import spot_pools
from components.settings_parser import Problem
from components.settings_rule import WIDEST_PREFIX, between, legal_ranges, matches, parsed_ranges, registered, retention

if TYPE_CHECKING:
    from components import settings as kinds

KUBERNETES_VERSIONS = {
    "1.34": "leaves EKS standard support on 2026-12-02 and costs six times as much from then on",
    "1.35": "",
    "1.36": "is outside of the versions that Airflow 3.3 is tested with (1.30 to 1.35)",
}
"""In EKS standard support, with what a user should know."""
CLUSTER_NAME = r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}"
GROUP_NAME_LIMIT = 50
"""A role's name has 64 characters at most, and `-role-` with Pulumi's suffix takes the rest (IAM quotas)."""
NO_FALLBACK = "or set workers.fallback to none"


def _sizes(path: str, group: kinds.CoreSettings | kinds.WorkerGroup) -> Iterator[Problem]:
    if group.max_size < 1:
        yield Problem(setting=f"{path}.maxSize", value=group.max_size, rule="must be >= 1")
    if group.min_size < 0:
        yield Problem(setting=f"{path}.minSize", value=group.min_size, rule="must be >= 0")
    if group.min_size > group.desired_size:
        yield Problem(setting=f"{path}.desiredSize", rule=f"min {group.min_size} > desired {group.desired_size}")
    if group.desired_size > group.max_size:
        yield Problem(setting=f"{path}.desiredSize", rule=f"desired {group.desired_size} > max {group.max_size}")
    for problem in spot_pools.list_problems(group.instance_types):
        yield Problem(setting=f"{path}.instanceTypes", rule=problem)


@registered
def cluster_is_legal(cluster: kinds.ClusterSettings) -> Iterator[Problem]:
    """Name, version, logs and administrators."""
    yield from matches("cluster.name", cluster.name, CLUSTER_NAME, "1 to 100 letters, digits, - and _, beginning with a letter or digit")
    version = cluster.kubernetes_version
    if version not in KUBERNETES_VERSIONS:
        supported = ", ".join(KUBERNETES_VERSIONS)
        yield Problem(setting="cluster.kubernetesVersion", value=version, rule=f"not in EKS standard support, which has {supported}")
    elif note := KUBERNETES_VERSIONS[version]:
        yield Problem(setting="cluster.kubernetesVersion", value=version, rule=note, only_warns=True)
    yield from retention("cluster.logRetentionDays", cluster.log_retention_days)
    for arn in cluster.admin_principal_arns:
        pattern = r"arn:aws:iam::\d{12}:(role|user)/[\w+=,.@/-]+"
        yield from matches(
            "cluster.adminPrincipalArns", arn, pattern, "is no IAM role or user", "give the role's ARN, not that of a session (sts)"
        )


@registered
def kubernetes_api_is_not_open(cluster: kinds.ClusterSettings) -> Iterator[Problem]:
    """CKV_AWS_38: AWS's own default is open to everybody."""
    cidrs = cluster.public_access_cidrs
    yield from legal_ranges("cluster.publicAccessCidrs", cidrs)
    if cluster.endpoint_public and not cidrs:
        yield Problem(
            setting="cluster.publicAccessCidrs",
            rule="is empty, which AWS takes for 0.0.0.0/0",
            way_out="pulumi config set --path 'cluster.publicAccessCidrs[0]' YOUR.OWN.ADDRESS/32, or set cluster.endpointPublic to false",
        )
    if cidrs and not cluster.endpoint_public:
        yield Problem(setting="cluster.publicAccessCidrs", rule="has no effect while cluster.endpointPublic is false", only_warns=True)
    for network in parsed_ranges(cidrs):
        if network.prefixlen < WIDEST_PREFIX[network.version]:
            yield Problem(setting="cluster.publicAccessCidrs", value=str(network), rule="opens the Kubernetes API to the internet")
        if network.version == 4 and network.subnet_of(ipaddress.IPv4Network("203.0.113.0/24")):
            rule = "is a documentation address (RFC 5737): the Kubernetes API will not answer you"
            way_out = "replace it by the address you deploy from"
            yield Problem(setting="cluster.publicAccessCidrs", value=str(network), rule=rule, way_out=way_out, only_warns=True)


@registered
def core_group_is_sound(core: kinds.CoreSettings, environment: str) -> Iterator[Problem]:
    """Sizes in order, and two nodes outside of dev."""
    yield from _sizes("core", core)
    yield from between("core.volumeGib", core.volume_gib, 20, 16384)
    if core.min_size < 2 and environment != "dev":
        yield Problem(setting="core.minSize", value=core.min_size, rule="core needs >= 2 nodes in 2 zones", way_out="or environment: dev")


@registered
def worker_groups_are_sound(workers: kinds.WorkerSettings) -> Iterator[Problem]:
    """Names that roles can derive from, sizes in order, enough Spot pools."""
    names = [group.name for group in workers.groups]
    if not names:
        yield Problem(setting="workers.groups", rule="is empty: no task could run", way_out="give at least one group")
    for name in {name for name in names if names.count(name) > 1}:
        yield Problem(setting="workers.groups", value=name, rule="two groups have this name")
    for index, group in enumerate(workers.groups):
        path = f"workers.groups[{index}]"
        taken = f"{spot_pools.CORE_GROUP}$|{spot_pools.OVERFLOW_GROUP}$"
        pattern = rf"(?!{taken})[a-z][a-z0-9-]{{0,{GROUP_NAME_LIMIT - 1}}}"
        over = len(group.name) - GROUP_NAME_LIMIT
        way_out = f"shorten it by {over}: role names derive from it" if over > 0 else ""
        rule = f"1 to {GROUP_NAME_LIMIT} lower-case letters, digits and -, and not {spot_pools.CORE_GROUP} or {spot_pools.OVERFLOW_GROUP}"
        yield from matches(f"{path}.name", group.name, pattern, rule, way_out)
        yield from _sizes(path, group)
        if 0 < len(group.instance_types) < spot_pools.WANTED_TYPES:
            pools = len(group.instance_types)
            rule = f"Spot wants >= {spot_pools.WANTED_TYPES} types; {pools} type(s) leave little to fall back on"
            yield Problem(setting=f"{path}.instanceTypes", rule=rule, only_warns=True)
    yield from between("workers.volumeGib", workers.volume_gib, 20, 16384)
    if workers.taint_effect == "PREFER_NO_SCHEDULE":
        rule = "lets pods that are no tasks onto Spot nodes when the others are full"
        yield Problem(setting="workers.taintEffect", value=workers.taint_effect, rule=rule, only_warns=True)


@registered
def tasks_find_a_node(workers: kinds.WorkerSettings, autoscaler: kinds.AutoscalerSettings) -> Iterator[Problem]:
    """An empty group is filled by the autoscaler and by nothing else."""
    overflows = workers.fallback == "on-demand"
    if overflows:
        for problem in spot_pools.list_problems(workers.overflow.instance_types):
            yield Problem(setting="workers.overflow.instanceTypes", rule=problem)
        if workers.overflow.max_size < 1:
            yield Problem(setting="workers.overflow.maxSize", value=workers.overflow.max_size, rule="must be >= 1", way_out=NO_FALLBACK)
    if autoscaler.enabled:
        return
    if workers.groups and all(group.desired_size == 0 for group in workers.groups):
        rule = "no Spot group begins with a node, and without the autoscaler none ever gets one: no task could run"
        yield Problem(setting="autoscaler.enabled", value=False, rule=rule, way_out="set it to true, or give a group a desiredSize")
    if overflows:
        rule = "on-demand does nothing without the autoscaler: the overflow group is empty until that fills it"
        yield Problem(setting="workers.fallback", rule=rule, way_out="set autoscaler.enabled to true", only_warns=True)


@registered
def image_runs_on_the_nodes(image: kinds.ImageSettings, core: kinds.CoreSettings, workers: kinds.WorkerSettings) -> Iterator[Problem]:
    """One image is built for one architecture."""
    overflow = workers.overflow.instance_types if workers.fallback == "on-demand" else ()
    for name in dict.fromkeys([*core.instance_types, *(name for group in workers.groups for name in group.instance_types), *overflow]):
        if spot_pools.is_arm(name) is not (image.platform == "linux/arm64"):
            architecture = "arm64" if spot_pools.is_arm(name) else "amd64"
            rule = f"{name} is {architecture}, and the image is not"
            yield Problem(setting="image.platform", value=image.platform, rule=rule, way_out="one architecture for all node groups")
