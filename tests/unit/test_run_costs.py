"""Pods of DAG runs, put together from what is still known of them. That Airflow and Kubernetes answer so is the e2e tier's to prove."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace as Made
from typing import Any

import pytest

from components.cost_prices import dated_prices
from operations.cost_attribution import run_costs, table
from operations.run_costs import Cluster, Placing, placings, records, tries

OREGON = dated_prices("us-west-2")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def node(name: str, instance_type: str, lifecycle: str = "Ec2Spot") -> Any:
    return Made(
        metadata=Made(name=name, labels={"node.kubernetes.io/instance-type": instance_type, "lifecycle": lifecycle}),
        status=Made(allocatable={"cpu": "2", "memory": "8Gi"}),
    )


def cluster(**changes: Any) -> Cluster:
    nodes = {one.metadata.name: one for one in (node("a", "m5a.large"), node("b", "m5.large"), node("core", "m5.large", "OnDemand"))}
    placed = {"sales-load-1": Placing(node="a", at=datetime(2026, 11, 24, 9, 59, 50, tzinfo=UTC))}
    return Cluster(**{"nodes": nodes, "placings": placed, "pods": [], "cpu": Decimal("0.25"), "memory_gib": Decimal(2), **changes})


def one_try(**changes: Any) -> dict[str, Any]:
    return {
        "dag_id": "sales",
        "dag_run_id": "manual__1",
        "task_id": "load",
        "map_index": -1,
        "try_number": 1,
        "hostname": "sales-load-1",
        "start_date": "2026-11-24T10:00:00Z",
        "end_date": "2026-11-24T10:05:00Z",
        "executor_config": "{}",
        **changes,
    }


def test_a_finished_pod_is_counted_from_its_placing_on_the_node_it_had():
    [pod] = records([one_try()], cluster(), OREGON, NOON)
    assert (pod.instance_type, pod.spot, pod.seconds, pod.guessed) == ("m5a.large", True, 310, ())
    assert pod.share == Decimal("0.25"), "2 of 8 GiB"


def test_a_pod_whose_node_is_forgotten_is_priced_as_the_dearest_spot_node_and_said_to_be():
    [pod] = records([one_try()], cluster(placings={}), OREGON, NOON)
    assert (pod.instance_type, pod.seconds, pod.guessed) == ("m5.large", 300, ("node",))
    text = table(run_costs([pod], OREGON), OREGON)
    assert "Estimated: the node of 1 pod(s) is no longer known, taken as the dearest Spot node that there is now" in text


def test_a_node_that_is_gone_is_forgotten_too():
    gone = {"sales-load-1": Placing(node="reclaimed", at=NOON)}
    [pod] = records([one_try()], cluster(placings=gone), OREGON, NOON)
    assert pod.guessed == ("node",)


def test_a_task_with_an_executor_config_may_have_asked_for_something_else():
    [pod] = records([one_try(executor_config="{'pod_override': ...}")], cluster(), OREGON, NOON)
    assert pod.guessed == ("request",)


def test_a_task_on_an_on_demand_node_pays_on_demand():
    [pod] = records([one_try()], cluster(placings={"sales-load-1": Placing(node="core", at=NOON)}), OREGON, NOON)
    assert not pod.spot


def test_a_running_try_is_counted_until_now():
    [pod] = records([one_try(end_date=None)], cluster(), OREGON, NOON)
    assert pod.seconds == 7210


def test_a_pod_that_exists_speaks_for_itself():
    pod = Made(
        metadata=Made(name="sales-load-1", labels={}, annotations={"dag_id": "sales", "run_id": "manual__1", "task_id": "load"}),
        spec=Made(node_name="b", containers=[Made(resources=Made(requests={"cpu": "1", "memory": "1Gi"}))]),
        status=Made(start_time=datetime(2026, 11, 24, 11, 0, tzinfo=UTC), container_statuses=[]),
    )
    [found] = records([one_try(end_date=None)], cluster(pods=[pod]), OREGON, NOON)
    assert (found.cpu, found.instance_type, found.seconds) == (1, "m5.large", 3600)


def test_without_any_spot_node_nothing_is_made_up():
    assert records([one_try()], cluster(nodes={}), OREGON, NOON) == []


def test_the_schedulers_event_names_node_and_time():
    event = Made(
        involved_object=Made(name="sales-load-1"),
        message="Successfully assigned airflow/sales-load-1 to ip-10-0-1-5.us-west-2.compute.internal",
        event_time=None,
        first_timestamp=NOON,
        metadata=Made(creation_timestamp=NOON),
    )
    assert placings([event]) == {"sales-load-1": Placing(node="ip-10-0-1-5.us-west-2.compute.internal", at=NOON)}


class Airflow:
    """Answers with one run of a repeated, a mapped and a skipped task."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def call(self, method: str, path: str, **_: Any) -> Any:
        self.asked.append(path)
        if path.endswith("/tries"):
            return {"task_instances": [one_try(), one_try(try_number=2)]}
        return {"dag_runs": [{"dag_id": "sales", "dag_run_id": "manual__1"}]}

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return [one_try(try_number=2, map_index=3), one_try(task_id="once"), one_try(task_id="skipped", hostname="", start_date=None)]


def test_each_try_of_a_repeated_task_had_a_pod_of_its_own():
    airflow = Airflow()
    found = tries(airflow, 5)  # type: ignore[arg-type]
    assert [(one["task_id"], one["try_number"]) for one in found] == [("load", 1), ("load", 2), ("once", 1)]
    assert airflow.asked[-1] == "/dags/sales/dagRuns/manual__1/taskInstances/load/3/tries"


@pytest.mark.parametrize("wanted", ["manual__1", "retries", "0.00"])
def test_runs_are_tabulated_with_their_repeated_work(wanted):
    pods = records([one_try(), one_try(try_number=2)], cluster(), OREGON, NOON)
    assert wanted in table(run_costs(pods, OREGON), OREGON)
