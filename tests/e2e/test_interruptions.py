"""A15, A18-A20, B15: tasks against the loss of their pods and nodes, and what the cluster policy makes of a DAG."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from embedded.cloud import Cloud
from operations.airflow_api import AirflowApi
from operations.deployment import Deployment
from operations.placement import SPOT, WorkerWatch
from tests.e2e.conftest import efs_folder, run_dag

DAGS = Path(__file__).parent / "dags"


@pytest.fixture(scope="module")
def dropped(cloud: Cloud) -> None:
    """This tier's own DAGs, in the folder that people drop theirs into."""
    for file in DAGS.glob("*.py"):
        (efs_folder(cloud, "dags") / file.name).write_text(file.read_text())


def test_a15_b15_a_pinned_task_runs_on_demand_and_every_other_on_spot(dropped: None, airflow: AirflowApi, deployment: Deployment) -> None:
    with WorkerWatch(deployment) as watch:
        _, state = run_dag(airflow, "pinned_and_not")
    assert state == "success"
    assert {pod.task: pod.lifecycle for pod in watch.pods.values()} == {"pinned": "OnDemand", "usual": SPOT, "own_affinity": SPOT}


def test_a18_a_task_that_refuses_retries_is_an_import_error_that_says_what_to_do(dropped: None, airflow: AirflowApi) -> None:
    deadline = time.monotonic() + 120
    while not (found := _import_errors(airflow, "no_retries.py")) and time.monotonic() < deadline:
        time.sleep(2)
    [message] = found
    assert "task 'fragile' of DAG 'no_retries' cannot run on this stack: retries is 0" in message
    assert "executor_config=on_demand()" in message
    assert "no_retries" not in airflow.dag_ids()


def _import_errors(airflow: AirflowApi, file: str) -> list[str]:
    errors = airflow.call("GET", "/importErrors")["import_errors"]
    return [error["stack_trace"] for error in errors if error["filename"].endswith(file)]
