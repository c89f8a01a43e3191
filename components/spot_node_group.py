"""Spot capacity for Airflow's tasks: one managed node group, with its role and launch template.

Needs only ids: of a cluster that exists, of subnets and of security groups. EKS itself diversifies over the group's pools, replaces nodes
that are at risk and drains them on the two-minute notice. Without the taint, pods that are no tasks land on nodes that may go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components import spot_pools
from components.cost_tags import component_tags
from components.node_group import NodeGroupSpec, NodeWiring, managed_node_group, told


@dataclass(frozen=True, kw_only=True)
class SpotNodeGroupArgs:
    """A group of one instance shape."""

    wiring: NodeWiring
    """Cluster, subnets and security groups, by their ids."""
    instance_types: tuple[str, ...]
    """Types of one vCPU, memory and architecture, most wanted first."""
    min_size: int
    desired_size: int
    """At creation only: afterwards the autoscaler decides. 0 is fine: the group is tagged for a start from no node."""
    max_size: int
    taint_effect: str
    """NO_SCHEDULE, NO_EXECUTE or PREFER_NO_SCHEDULE."""
    volume_gib: int
    """Root disk, GiB."""
    tags: Mapping[str, str]
    startup_taints: pulumi.Input[Sequence[str]] = ()
    """Keys of taints that nodes begin with; for clusters where something takes them off, such as the EFS driver (efs_driver)."""

    def __post_init__(self) -> None:
        problems = spot_pools.list_problems(self.instance_types)
        if not 0 <= self.min_size <= self.desired_size <= self.max_size or self.max_size < 1:
            problems.append(f"sizes must be 0 <= min <= desired <= max, got {self.min_size}, {self.desired_size}, {self.max_size}")
        if self.taint_effect not in spot_pools.TAINT_EFFECTS:
            problems.append(f"taint effect {self.taint_effect} must be one of {', '.join(spot_pools.TAINT_EFFECTS)}")
        if problems:
            raise ValueError(f"Spot node group: {'; '.join(problems)} (setting workers.groups)")


class SpotNodeGroup(pulumi.ComponentResource):
    """Node group `{name}` with label lifecycle=Ec2Spot and taint spotInstance=true, its role and its launch template."""

    node_group_name: pulumi.Output[str]
    node_role_arn: pulumi.Output[str]
    autoscaling_group_name: pulumi.Output[str]
    """Of the Auto Scaling group that EKS made for it."""

    def __init__(self, name: str, args: SpotNodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:SpotNodeGroup", name, None, opts)
        spec = NodeGroupSpec(
            group_name=name,
            wiring=args.wiring,
            instance_types=args.instance_types,
            min_size=args.min_size,
            desired_size=args.desired_size,
            max_size=args.max_size,
            volume_gib=args.volume_gib,
            capacity_type="SPOT",
            lifecycle=spot_pools.SPOT_LIFECYCLE,
            taint_effect=args.taint_effect,
            startup_taints=args.startup_taints,
            tags=component_tags(args.tags, "workers", capacity="spot", Name=name),
        )
        outputs = told(managed_node_group(name, spec, self))
        self.node_group_name = outputs["node_group_name"]
        self.node_role_arn = outputs["node_role_arn"]
        self.autoscaling_group_name = outputs["autoscaling_group_name"]
        self.register_outputs(outputs)
