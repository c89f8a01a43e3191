"""A20: which tasks the executor reports as having lost their pod. Airflow's own part is stood in for; the e2e tests kill real pods."""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from queue import Queue
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

Results = namedtuple("Results", "key state pod_name namespace resource_version failure_details")


class AirflowsOwn:
    """As much of KubernetesExecutor as is built upon."""

    scheduler_job_id = "1"
    kube_config = SimpleNamespace(kube_namespace="airflow")
    log = SimpleNamespace(warning=lambda *_: None, exception=lambda *_: None)

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.result_queue: Queue[Results] = Queue()

        self.task_queue: Queue[str] = Queue()

    def start(self) -> None:
        self.kube_scheduler = PodMaker()

    def sync(self) -> None: ...

    def _change_state(self, results: Results) -> None: ...


class PodMaker:
    """As much of AirflowKubernetesScheduler."""

    def _build_pod_request(self, job: Any) -> Any:
        return SimpleNamespace(metadata=SimpleNamespace(name=f"pod-of-{job.key}"))


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    kubernetes = "airflow.providers.cncf.kubernetes"
    airflow: dict[str, dict[str, Any]] = {
        f"{kubernetes}.executors.kubernetes_executor": {"KubernetesExecutor": AirflowsOwn},
        f"{kubernetes}.executors.kubernetes_executor_types": {
            "FailureDetails": dict,
            "KubernetesResults": Results,
        },
        f"{kubernetes}.executors.kubernetes_executor_utils": {"AirflowKubernetesScheduler": PodMaker},
        f"{kubernetes}.kubernetes_helper_functions": {"annotations_to_key": lambda annotations: annotations["task"]},
        "airflow.utils.session": {"NEW_SESSION": None, "provide_session": lambda function: function},
        "airflow.utils.state": {"TaskInstanceState": SimpleNamespace(FAILED="failed", RUNNING="running")},
    }
    for name in {part.rsplit(".", cut)[0] for part in airflow for cut in range(1, part.count(".") + 1)} | airflow.keys():
        module = ModuleType(name)
        vars(module).update(airflow.get(name, {}))
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docker"))
    made = import_module("airflow_on_eks.spot_executor").SpotKubernetesExecutor()
    made.cluster = []
    monkeypatch.setattr(made, "_renewals", dict)
    monkeypatch.setattr(made, "_get", lambda path: {"items": made.cluster})
    made.start()
    yield made
    for name in ("airflow_on_eks.spot_executor", "airflow_on_eks.node_silence", "airflow_on_eks"):
        del sys.modules[name]


def begin(executor: Any, task: str) -> dict[str, Any]:
    """A task that is handed over, and its pod in the cluster."""
    executor.running.add(task)
    executor.kube_scheduler._build_pod_request(SimpleNamespace(key=task))
    return {"metadata": {"name": f"pod-of-{task}", "annotations": {"task": task}}, "spec": {}, "status": {"phase": "Pending"}}


def looks(executor: Any, number: int) -> list[tuple[str, str, str]]:
    """What is reported after so many looks."""
    for _ in range(number):
        executor._look()
    found = [executor.result_queue.get() for _ in range(executor.result_queue.qsize())]
    return [(result.key, result.pod_name, result.failure_details["pod_reason"]) for result in found]


def test_a_pod_that_is_deleted_before_the_first_look_is_missed(executor: Any) -> None:
    begin(executor, "early")
    assert looks(executor, 4) == [], "its last event may be on the way"
    assert looks(executor, 1) == [("early", "pod-of-early", "PodDeleted")]
    assert looks(executor, 10) == [], "reported once"


def test_a_pod_that_could_not_be_made_is_not_missed_while_it_waits_to_be_made_again(executor: Any) -> None:
    begin(executor, "refused by a quota")
    executor.task_queue.put("again")
    assert looks(executor, 20) == []


def test_a_pod_that_was_seen_and_is_deleted_is_missed(executor: Any) -> None:
    executor.cluster.append(begin(executor, "later"))
    assert looks(executor, 20) == []
    executor.cluster.clear()
    assert looks(executor, 5) == [("later", "pod-of-later", "PodDeleted")]


def test_a_task_that_waits_for_its_pod_or_has_ended_is_left_alone(executor: Any) -> None:
    executor.running.add("in the queue")
    executor.cluster.append(begin(executor, "ended"))
    assert looks(executor, 1) == []
    executor.cluster.clear()
    executor.running.remove("ended")
    assert looks(executor, 20) == []
