"""B10: the group that takes tasks when Spot has no room. That the autoscaler fills it only then is AWS's to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from components.node_group import NodeWiring
from components.overflow_node_group import OverflowNodeGroup, OverflowNodeGroupArgs
from tests.conftest import Engine, built_once

Build = Callable[[Callable[[], Any]], Engine]
NODE_GROUP = ("aws:eks/nodeGroup:NodeGroup", "ng-overflow")
WIRING = NodeWiring(
    cluster_name="airflow-dev", kubernetes_version="1.35", subnet_ids=["subnet-1", "subnet-2"], security_group_ids=("sg-eks", "sg-nodes")
)


@built_once
def overflow(tags: Mapping[str, str], **changes: Any) -> Callable[[], OverflowNodeGroup]:
    plan = {
        "wiring": WIRING,
        "instance_types": ("m5.large", "m5a.large"),
        "max_size": 2,
        "taint_effect": "NO_SCHEDULE",
        "volume_gib": 50,
        "tags": tags,
    }
    return lambda: OverflowNodeGroup("ng-overflow", OverflowNodeGroupArgs(**{**plan, **changes}))


def test_b10_it_is_empty_on_demand_capacity_for_tasks_alone(build: Build, tags: dict[str, str]) -> None:
    group = build(overflow(tags)).resources[NODE_GROUP]
    assert group["capacityType"] == "ON_DEMAND"
    assert group["scalingConfig"] == {"minSize": 0, "desiredSize": 0, "maxSize": 2}
    assert group["labels"] == {"lifecycle": "OnDemandOverflow"}, "core pods select OnDemand: even without the taint they would stay away"
    assert group["taints"] == [{"key": "spotInstance", "value": "true", "effect": "NO_SCHEDULE"}]
    assert group["tags"] == {**tags, "Component": "workers", "CapacityType": "on-demand", "Name": "ng-overflow"}


@pytest.mark.parametrize(("given", "used"), [("PREFER_NO_SCHEDULE", "NO_SCHEDULE"), ("NO_EXECUTE", "NO_EXECUTE")])
def test_b10_its_taint_is_hard_even_where_that_of_spot_is_soft(build: Build, tags: dict[str, str], given: str, used: str) -> None:
    engine = build(overflow(tags, taint_effect=given))
    assert engine.resources[NODE_GROUP]["taints"][0]["effect"] == used
    tag = engine.resources["aws:autoscaling/tag:Tag", "ng-overflow-asg-taint"]["tag"]
    assert tag["value"] == {"NO_SCHEDULE": "true:NoSchedule", "NO_EXECUTE": "true:NoExecute"}[used]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instance_types": ("m5.lage",)}, r"did you mean m5\.large.*workers\.overflow"),
        ({"max_size": 0}, "max size must be >= 1, got 0"),
    ],
)
def test_b10_a_group_that_cannot_work_is_refused(tags: dict[str, str], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        overflow(tags, **changes)()
