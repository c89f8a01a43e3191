"""On-Demand capacity for tasks that no Spot pool has room for: one managed node group that is empty until then.

Its nodes carry the Spot groups' taint and a lifecycle of their own, so that neither Airflow's own programs nor anything else lands on them.
That tasks come here last is the doing of the worker pod's preference (among nodes that run) and of the autoscaler's priorities (among nodes
to be started). Without it a task waits for as long as the Spot pools are empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components import spot_pools
from components.cost_tags import component_tags
from components.node_group import NodeGroupSpec, NodeWiring, managed_node_group, told


@dataclass(frozen=True, kw_only=True)
class OverflowNodeGroupArgs:
    """A group of one instance shape, from no node to `max_size`."""

    wiring: NodeWiring
    """Cluster, subnets and security groups, by their ids."""
    instance_types: tuple[str, ...]
    """Types of one vCPU, memory and architecture, most wanted first: AWS goes on to the next when one is sold out."""
    max_size: int
    taint_effect: str
    """Of the Spot groups. A soft one becomes NO_SCHEDULE here: these nodes must be as good as invisible to all but tasks."""
    volume_gib: int
    """Root disk, GiB."""
    tags: Mapping[str, str]
    startup_taints: pulumi.Input[Sequence[str]] = ()
    """Keys of taints that nodes begin with; for clusters where something takes them off, such as the EFS driver (efs_driver)."""

    def __post_init__(self) -> None:
        problems = spot_pools.list_problems(self.instance_types)
        if self.max_size < 1:
            problems.append(f"max size must be >= 1, got {self.max_size}")
        if problems:
            raise ValueError(f"overflow node group: {'; '.join(problems)} (settings workers.overflow)")


class OverflowNodeGroup(pulumi.ComponentResource):
    """Node group `{name}` with label lifecycle=OnDemandOverflow and taint spotInstance=true, its role and its launch template."""

    node_group_name: pulumi.Output[str]
    node_role_arn: pulumi.Output[str]
    autoscaling_group_name: pulumi.Output[str]
    """Of the Auto Scaling group that EKS made for it."""

    def __init__(self, name: str, args: OverflowNodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:OverflowNodeGroup", name, None, opts)
        spec = NodeGroupSpec(
            group_name=name,
            wiring=args.wiring,
            instance_types=args.instance_types,
            min_size=0,
            desired_size=0,
            max_size=args.max_size,
            volume_gib=args.volume_gib,
            capacity_type="ON_DEMAND",
            lifecycle=spot_pools.OVERFLOW_LIFECYCLE,
            taint_effect=spot_pools.hard_effect(args.taint_effect),
            startup_taints=args.startup_taints,
            tags=component_tags(args.tags, "workers", capacity="on-demand", Name=name),
        )
        outputs = told(managed_node_group(name, spec, self))
        self.node_group_name = outputs["node_group_name"]
        self.node_role_arn = outputs["node_role_arn"]
        self.autoscaling_group_name = outputs["autoscaling_group_name"]
        self.register_outputs(outputs)
