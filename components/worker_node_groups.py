"""All node groups that tasks run on: the Spot groups, and the overflow group if the settings want one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import efs_driver, spot_pools
from components.node_group import NodeWiring
from components.overflow_node_group import OverflowNodeGroup, OverflowNodeGroupArgs
from components.settings import WorkerSettings
from components.spot_node_group import SpotNodeGroup, SpotNodeGroupArgs


@dataclass(frozen=True, kw_only=True)
class WorkerNodeGroups:
    """What the rest of the stack needs of them."""

    components: tuple[pulumi.Resource, ...]
    """To wait for."""
    cluster_name: pulumi.Input[str]
    priorities: Mapping[int, tuple[pulumi.Output[str], ...]]
    """Auto Scaling groups by how much they are wanted, a higher number first. Empty: without a fallback all are equal."""

    @property
    def scaling(self) -> dict[str, Any]:
        """What the autoscaler has to know, by the names of its arguments."""
        return {"cluster_name": self.cluster_name, "priorities": self.priorities}


def worker_node_groups(
    workers: WorkerSettings, wiring: NodeWiring, efs_driver_version: pulumi.Input[str], tags: Mapping[str, str]
) -> WorkerNodeGroups:
    """One component for each group of the settings.

    Args:
        workers: the settings.
        wiring: the cluster.
        efs_driver_version: version of the add-on that takes the startup taint off new nodes.
        tags: cost tags.
    """
    startup_taints: pulumi.Input[Sequence[str]] = ()
    if workers.await_efs_driver:
        startup_taints = pulumi.Output.from_input(efs_driver_version).apply(efs_driver.startup_taints)
    spot = [
        SpotNodeGroup(
            group.name,
            SpotNodeGroupArgs(
                wiring=wiring,
                instance_types=group.instance_types,
                min_size=group.min_size,
                desired_size=group.desired_size,
                max_size=group.max_size,
                taint_effect=workers.taint_effect,
                startup_taints=startup_taints,
                volume_gib=workers.volume_gib,
                tags=tags,
            ),
        )
        for group in workers.groups
    ]
    if workers.fallback == "none":
        return WorkerNodeGroups(components=tuple(spot), cluster_name=wiring.cluster_name, priorities={})
    overflow = OverflowNodeGroup(
        spot_pools.OVERFLOW_GROUP,
        OverflowNodeGroupArgs(
            wiring=wiring,
            instance_types=workers.overflow.instance_types,
            max_size=workers.overflow.max_size,
            taint_effect=workers.taint_effect,
            startup_taints=startup_taints,
            volume_gib=workers.volume_gib,
            tags=tags,
        ),
    )
    priorities = {
        spot_pools.SPOT_PRIORITY: tuple(group.autoscaling_group_name for group in spot),
        spot_pools.OVERFLOW_PRIORITY: (overflow.autoscaling_group_name,),
    }
    return WorkerNodeGroups(components=(*spot, overflow), cluster_name=wiring.cluster_name, priorities=priorities)
