"""How the scale bench judges what it saw; the engine tier runs it (row A15)."""

from __future__ import annotations

import pytest

from bench import scale
from bench.scale import Result, Size


def test_a_pod_on_the_wrong_nodes_or_on_none_is_astray() -> None:
    bindings = {
        "task-1-1": "spot-1",
        "task-2-1": "core-1",
        "task-3-1": "",
        "airflow-scheduler-0": "core-1",
        "airflow-triggerer-0": "spot-1",
    }
    assert scale.astray_pods(bindings, {"spot-1"}) == {"task-2-1", "task-3-1", "airflow-triggerer-0"}


def test_plain_pods_differ_from_ours_in_affinity_and_tolerations_only() -> None:
    [ours], [plain] = scale.workers(1, pinned=True), scale.workers(1, pinned=False)
    assert set(ours["spec"]) - set(plain["spec"]) == {"affinity", "tolerations"}
    assert {**plain["spec"], "affinity": ours["spec"]["affinity"], "tolerations": ours["spec"]["tolerations"]} == ours["spec"]


@pytest.mark.parametrize(("pinned", "words"), [((1.0, 1.1, 9.0), "held"), ((1.2, 1.2, 1.2), "NOT HELD")])
def test_the_ratio_is_that_of_the_medians(pinned: tuple[float, ...], words: str) -> None:
    result = Result(
        pinned_seconds=pinned, plain_seconds=(1.0, 1.0, 1.0), astray=(), unbound_after_loss=0, lost_pods=5, recovery_seconds=60.0
    )
    assert scale.text(result, Size()).splitlines()[-1].endswith(words)
