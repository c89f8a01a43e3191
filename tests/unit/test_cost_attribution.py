"""What a DAG run cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace as Made

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cost_prices import dated_prices
from operations.cost_attribution import PodRecord, pod_cost, record, run_costs, table

OREGON = dated_prices("us-west-2")
POD = PodRecord(
    dag_id="sales",
    run_id="manual__1",
    task_id="load",
    try_number=1,
    instance_type="m5.large",
    spot=True,
    cpu=Decimal("0.5"),
    memory_gib=Decimal(1),
    node_cpu=Decimal(2),
    node_memory_gib=Decimal(8),
    seconds=Decimal(3600),
)


def test_a_pod_pays_the_larger_of_its_shares_of_the_node():
    assert POD.share == Decimal("0.25")
    assert replace(POD, memory_gib=Decimal(4)).share == Decimal("0.5")
    assert pod_cost(POD, OREGON) == (Decimal("0.03648") / 4, Decimal("0.096") / 4)


def test_a_pod_on_demand_pays_on_demand():
    assert pod_cost(replace(POD, spot=False), OREGON) == (Decimal("0.024"), Decimal("0.024"))


def test_runs_are_summed_and_sorted_by_cost():
    pods = [POD, replace(POD, task_id="again", try_number=2), replace(POD, dag_id="small", seconds=Decimal(60))]
    runs = run_costs(pods, OREGON)
    assert [(run.dag_id, run.pods, run.retries) for run in runs] == [("sales", 2, 1), ("small", 1, 0)]
    assert runs[0].usd == Decimal("0.01824")
    assert runs[0].saving_percent == 62


def test_a_type_without_a_price_is_named_and_the_sum_is_at_least():
    text = table(run_costs([POD, replace(POD, instance_type="x99.large")], OREGON), OREGON)
    assert ">=0.009120" in text
    assert "No price known for x99.large in us-west-2" in text


def test_a_run_of_unknown_price_is_not_free():
    text = table(run_costs([replace(POD, instance_type="x99.large")], OREGON), OREGON)
    assert "unknown" in text.splitlines()[2]
    assert "0.000000" not in text


def test_the_table_says_region_currency_and_where_prices_are_from():
    text = table(run_costs([POD], OREGON), OREGON)
    assert text.startswith("What each DAG run cost in us-west-2, USD; prices: list prices of the project's dated table")
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("wrong", [{"node_cpu": Decimal(0)}, {"seconds": Decimal(-1)}, {"memory_gib": Decimal(-1)}])
def test_figures_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r"sales\.load"):
        pod_cost(replace(POD, **wrong), OREGON)


@given(cpus=st.lists(st.integers(1, 2000), min_size=1, max_size=20), seconds=st.integers(0, 100_000))
def test_pods_that_fill_a_node_never_pay_more_than_the_node(cpus, seconds):
    whole = sum(cpus)
    pods = [
        replace(
            POD,
            cpu=Decimal(cpu),
            node_cpu=Decimal(whole),
            memory_gib=Decimal(cpu),
            node_memory_gib=Decimal(whole),
            seconds=Decimal(seconds),
        )
        for cpu in cpus
    ]
    node = Decimal("0.03648") * seconds / 3600
    assert run_costs(pods, OREGON)[0].usd == pytest.approx(node, abs=Decimal("1e-15"))


def kubernetes_pod(*, started=True, ended=True):
    state = Made(terminated=Made(finished_at=datetime(2026, 11, 24, 10, 5, tzinfo=UTC)) if ended else None)
    return Made(
        metadata=Made(
            labels={"dag_id": "a-shortened-name", "try_number": "2"},
            annotations={"dag_id": "a name as it is", "run_id": "manual__2026-11-24T10:00:00+00:00", "task_id": "load", "try_number": "2"},
        ),
        spec=Made(containers=[Made(resources=Made(requests={"cpu": "250m", "memory": "1Gi"})), Made(resources=None)]),
        status=Made(
            start_time=datetime(2026, 11, 24, 10, 0, tzinfo=UTC) if started else None,
            container_statuses=[Made(state=state)],
        ),
    )


NODE = Made(
    metadata=Made(labels={"node.kubernetes.io/instance-type": "m5.large", "lifecycle": "Ec2Spot"}),
    status=Made(allocatable={"cpu": "1930m", "memory": "7Gi"}),
)
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def test_a_record_is_read_from_kubernetes():
    found = record(kubernetes_pod(), NODE, NOON)
    assert found is not None
    assert (found.dag_id, found.try_number, found.instance_type, found.spot) == ("a name as it is", 2, "m5.large", True)
    assert (found.cpu, found.memory_gib, found.node_cpu, found.node_memory_gib) == (Decimal("0.25"), 1, Decimal("1.93"), 7)
    assert found.seconds == 300


def test_a_pod_that_still_runs_is_counted_until_now():
    found = record(kubernetes_pod(ended=False), NODE, NOON)
    assert found is not None
    assert found.seconds == 7200


def test_a_pod_that_never_ran_cost_nothing():
    assert record(kubernetes_pod(started=False), NODE, NOON) is None
