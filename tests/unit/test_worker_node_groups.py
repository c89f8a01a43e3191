"""A3, B10: which node groups the settings make, and in which order the autoscaler wants them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from components.node_group import NodeWiring
from components.settings import Fallback, OverflowSettings, WorkerGroup, WorkerSettings
from components.worker_node_groups import worker_node_groups
from tests.conftest import Engine

Build = Callable[[Callable[[], Any]], Engine]
DRIVER = "v3.4.2-eksbuild.1"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
WIRING = NodeWiring(cluster_name="c", kubernetes_version="1.35", subnet_ids=["subnet-1", "subnet-2"], security_group_ids=("sg-eks",))


def settings(fallback: Fallback, *, await_efs_driver: bool = True) -> WorkerSettings:
    groups = [
        WorkerGroup(name=name, instance_types=("m5.large",), min_size=0, desired_size=1, max_size=9) for name in ("ng-spot1", "ng-spot2")
    ]
    return WorkerSettings(
        groups=tuple(groups),
        fallback=fallback,
        overflow=OverflowSettings(instance_types=("m5.large",), max_size=3),
        taint_effect="NO_EXECUTE",
        await_efs_driver=await_efs_driver,
        volume_gib=20,
    )


def test_a3_several_groups_are_several_components(build: Build, tags: dict[str, str]) -> None:
    engine = build(lambda: worker_node_groups(settings("none"), WIRING, DRIVER, tags))
    groups = engine.of_type(NODE_GROUP)
    assert set(groups) == {"ng-spot1", "ng-spot2"}
    assert all(inputs["taints"][0]["effect"] == "NO_EXECUTE" and inputs["scalingConfig"]["maxSize"] == 9 for inputs in groups.values())
    assert len(engine.component.components) == 2
    assert engine.component.priorities == {}, "without a fallback no group comes before another"


def test_b10_the_fallback_adds_one_group_that_the_autoscaler_wants_last(build: Build, tags: dict[str, str]) -> None:
    engine = build(lambda: worker_node_groups(settings("on-demand"), WIRING, DRIVER, tags))
    assert set(engine.of_type(NODE_GROUP)) == {"ng-spot1", "ng-spot2", "ng-overflow"}
    assert engine.resources[NODE_GROUP, "ng-overflow"]["scalingConfig"] == {"minSize": 0, "desiredSize": 0, "maxSize": 3}
    first, last = sorted(engine.component.priorities, reverse=True)
    assert [len(engine.component.priorities[number]) for number in (first, last)] == [2, 1]
    assert len(engine.component.components) == 3, "pods wait for the overflow group too, and go before it"


STARTUP = {"key": "efs.csi.aws.com/agent-not-ready", "effect": "NO_EXECUTE"}


def test_no_task_comes_to_a_new_node_before_its_efs_driver(build: Build, tags: dict[str, str]) -> None:
    engine = build(lambda: worker_node_groups(settings("on-demand"), WIRING, DRIVER, tags))
    assert all(STARTUP in inputs["taints"] and len(inputs["taints"]) == 2 for inputs in engine.of_type(NODE_GROUP).values())
    described = [inputs["tag"]["key"] for inputs in engine.of_type("aws:autoscaling/tag:Tag").values()]
    assert not [key for key in described if "agent-not-ready" in key], "an autoscaler would think that no task fits a new node"


def test_nodes_need_not_wait_for_the_efs_driver(build: Build, tags: dict[str, str]) -> None:
    engine = build(lambda: worker_node_groups(settings("none", await_efs_driver=False), WIRING, "v3.5.0-eksbuild.1", tags))
    assert all(STARTUP not in inputs["taints"] for inputs in engine.of_type(NODE_GROUP).values()), "whatever the driver does"


def test_a_driver_that_would_keep_all_tasks_away_is_refused_with_the_way_out(build: Build, tags: dict[str, str]) -> None:
    with pytest.raises(Exception, match=r"v3\.5\.0-eksbuild\.1 never takes the startup taint off.*Set workers\.awaitEfsDriver to false"):
        build(lambda: worker_node_groups(settings("none"), WIRING, "v3.5.0-eksbuild.1", tags))
