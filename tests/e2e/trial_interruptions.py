"""A15, A18-A20, B15: tasks against the loss of their pods and nodes, and what the cluster policy makes of a DAG.

Airflow's own executor runs beside ours in these tests and loses a task to the same power cut, so that both recoveries are of one run.
"""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import pytest
from kubernetes import client

from embedded import nodes
from embedded.cloud import Cloud
from embedded.node_config import node_name
from operations.airflow_api import FINISHED, AirflowApi
from operations.deployment import Deployment
from operations.placement import SPOT, WorkerWatch
from tests.e2e.conftest import drop_dags, efs_folder, run_dag, wait_for_end
from tests.e2e.killer import begun, kill_in_every_phase, kill_processes, mapped, start_work

BOTH = "airflow_on_eks.spot_executor.SpotKubernetesExecutor,KubernetesExecutor"
TIMES_FASTER = 5
"""Than Airflow's and Kubernetes' defaults, from the loss of a node to the start of its tasks' next try."""
DEFAULT_PAUSE_SECONDS = 300
"""Airflow's `default_task_retry_delay`."""
DRAIN_GRACE_SECONDS = 5


@pytest.fixture(scope="module")
def dropped(cloud: Cloud) -> None:
    drop_dags(cloud)


@pytest.fixture(scope="module")
def both_executors(dropped: None, deployment: Deployment) -> Iterator[None]:
    """Airflow's own executor beside ours, for as long as these tests take."""
    api = deployment.core_api()
    own = api.read_namespaced_config_map("airflow-configmap", deployment.namespace).data["AIRFLOW__CORE__EXECUTOR"]
    _set_executor(deployment, BOTH)
    yield
    _set_executor(deployment, own)


def _set_executor(deployment: Deployment, executor: str) -> None:
    api = deployment.core_api()
    api.patch_namespaced_config_map("airflow-configmap", deployment.namespace, {"data": {"AIRFLOW__CORE__EXECUTOR": executor}})
    for component in ("scheduler", "dag-processor"):
        # replaced, not rolled: a rollout's mark would be drift
        api.delete_collection_namespaced_pod(deployment.namespace, label_selector=f"component={component}")
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        time.sleep(2)
        pods = api.list_namespaced_pod(deployment.namespace, label_selector="component in (scheduler,dag-processor)").items
        if len(pods) == 2 and all(_is_ready(pod) for pod in pods):
            return
    raise AssertionError("scheduler and DAG processor did not come back")


def _is_ready(pod: Any) -> bool:
    ready = any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions or [])
    return ready and not pod.metadata.deletion_timestamp


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


@pytest.fixture(scope="module")
def power_cut(both_executors: None, airflow: AirflowApi, cloud: Cloud, deployment: Deployment) -> Iterator[dict[str, Any]]:
    """A node dies without a word under tasks of both executors."""
    airflow.wait_for_dag("airflows_own_executor", 240)
    plain_run = airflow.trigger("airflows_own_executor")
    run, proofs = start_work(airflow, cloud, tasks=6, seconds=60)
    deadline = time.monotonic() + 420
    while time.monotonic() < deadline:
        time.sleep(1)
        [plain] = airflow.task_instances("airflows_own_executor", plain_run)
        tasks = mapped(airflow, run)
        if plain["state"] == "running" and begun(proofs) == 6:
            break  # not merely "running": that is so before a task's first line
    places = {pod.metadata.name: pod.spec.node_name for pod in deployment.core_api().list_namespaced_pod(deployment.namespace).items}
    node = places[plain["hostname"]]
    victims = [task["map_index"] for task in tasks if places[task["hostname"]] == node]
    [spec] = [spec for spec in nodes.nodes(cloud) if spec.name == node]
    death = datetime.now(UTC)
    nodes.stop_node(cloud, node, sudden=True)
    # at its old address the node would tell of the pods that it lost; on AWS another instance comes, elsewhere
    free = next(name for number in range(5, 20) if (name := node_name(cloud, number)) not in {other.name for other in nodes.nodes(cloud)})
    stand_in = nodes.start_node(cloud, dataclasses.replace(spec, name=free))
    node_is_there = True
    while (state := airflow.run_state("proof_of_work", run)) not in FINISHED or node_is_there:
        assert time.monotonic() < deadline + 400, f"run {state}, Node object {'still there' if node_is_there else 'deleted'}"
        time.sleep(1)
        if node_is_there and not _node_is_ready(deployment, node):
            nodes.delete_node_object(cloud, node)  # as AWS's node controller does with an instance that is terminated
            node_is_there = False
    yield {"death": death, "plain_run": plain_run, "run": run, "victims": victims, "state": state}
    nodes.stop_node(cloud, stand_in.name)
    nodes.start_node(cloud, spec)


def _node_is_ready(deployment: Deployment, name: str) -> bool:
    conditions = deployment.core_api().read_node(name).status.conditions
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)


def _seconds(since: datetime, moment: str) -> float:
    return (datetime.fromisoformat(moment.replace("Z", "+00:00")) - since).total_seconds()


def _recoveries(airflow: AirflowApi, power_cut: dict[str, Any]) -> tuple[list[float], list[float]]:
    found = [airflow.tries("proof_of_work", power_cut["run"], "prove", number) for number in power_cut["victims"]]
    noticed = [_seconds(power_cut["death"], attempts[0]["end_date"]) for attempts in found]
    return noticed, [_seconds(power_cut["death"], attempts[1]["start_date"]) for attempts in found]


def test_a20_tasks_of_a_node_that_vanished_run_again_within_a_minute(power_cut: dict[str, Any], airflow: AirflowApi) -> None:
    assert power_cut["state"] == "success"
    assert power_cut["victims"], "the scheduler spreads six tasks over both nodes"
    noticed, started = _recoveries(airflow, power_cut)
    print(f"seconds from the power cut: noticed {noticed}, retry started {started}")
    assert median(started) < 60
    for number in power_cut["victims"]:
        first = airflow.log("proof_of_work", power_cut["run"], "prove", 1, number)
        assert f"try 1 of task {number} begins" in first, "the log of the lost try is on the file system"


def test_a20_a_hundred_workers_killed_in_all_phases_lose_no_task_and_no_log(
    dropped: None, airflow: AirflowApi, cloud: Cloud, deployment: Deployment
) -> None:
    kill_in_every_phase(airflow, cloud, deployment, kills=25, seconds=900)


def test_a19_a_checkpointing_task_killed_three_times_does_no_piece_twice(airflow: AirflowApi, cloud: Cloud, deployment: Deployment) -> None:
    pieces, kill_at = 12, [3, 6, 9]
    airflow.wait_for_dag("spot_checkpoint")
    run = airflow.trigger("spot_checkpoint", {"pieces": pieces, "seconds": 1})
    folder = efs_folder(cloud, "logs") / "checkpoints" / re.sub(r"[^\w.-]", "_", f"spot_checkpoint-{run}")
    api, killed = deployment.core_api(), 0
    deadline = time.monotonic() + 400
    while (state := airflow.run_state("spot_checkpoint", run)) not in FINISHED and time.monotonic() < deadline:
        time.sleep(0.2)
        done = len(list(folder.glob("*.json")))
        if killed < len(kill_at) and done >= kill_at[killed]:
            for pod in api.list_namespaced_pod(deployment.namespace, label_selector="dag_id=spot_checkpoint,task_id=long_job").items:
                if int(pod.metadata.annotations["try_number"]) == killed + 1 and kill_processes(pod.metadata.uid):
                    killed += 1
                    break
    assert (state, killed) == ("success", 3)
    logs = "\n".join(airflow.log("spot_checkpoint", run, "long_job", attempt) for attempt in range(1, 5))
    finished = Counter(int(line.split()[1]) for line in logs.splitlines() if line.startswith("piece ") and line.endswith(" done"))
    assert max(finished.values()) == 1, f"done twice: {finished}"
    result = airflow.call("GET", f"/dags/spot_checkpoint/dagRuns/{run}/taskInstances/report/xcomEntries/return_value")["value"]
    by_try = json.loads(result.replace("'", '"')) if isinstance(result, str) else result
    assert sum(by_try.values()) == pieces
    assert set(by_try) == {f"try {attempt}" for attempt in range(1, 5)}, "each try went on where the last one was killed"


def test_a20_tasks_of_a_drained_node_run_again_at_once_and_by_default_after_a_pause(
    both_executors: None, airflow: AirflowApi, cloud: Cloud, deployment: Deployment
) -> None:
    """After a notice EKS cordons the node and evicts its pods; here with seconds of grace, so that no task can finish meanwhile."""
    airflow.wait_for_dag("airflows_own_executor", 240)
    plain_run = airflow.trigger("airflows_own_executor")
    run, proofs = start_work(airflow, cloud, tasks=6, seconds=1, held=True)
    deadline = time.monotonic() + 240
    while begun(proofs) < 6 or airflow.task_instances("airflows_own_executor", plain_run)[0]["state"] != "running":
        assert time.monotonic() < deadline, "the tasks do not begin"
        time.sleep(1)
    api = deployment.core_api()
    pods = {
        pod.metadata.name: pod for pod in api.list_namespaced_pod(deployment.namespace, label_selector="kubernetes_executor=True").items
    }
    [plain] = airflow.task_instances("airflows_own_executor", plain_run)
    node = pods[plain["hostname"]].spec.node_name
    victims = [task["map_index"] for task in mapped(airflow, run) if pods[task["hostname"]].spec.node_name == node]
    assert victims, "the scheduler spreads six tasks over both nodes"
    gone: dict[str, datetime] = {}
    api.patch_node(node, {"spec": {"unschedulable": True}})
    try:
        for name, pod in pods.items():
            if pod.spec.node_name == node:
                options = client.V1DeleteOptions(grace_period_seconds=DRAIN_GRACE_SECONDS)
                eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=name), delete_options=options)
                api.create_namespaced_pod_eviction(name, deployment.namespace, eviction)
                gone[name] = datetime.now(UTC) + timedelta(seconds=DRAIN_GRACE_SECONDS)
        path = f"/dags/airflows_own_executor/dagRuns/{plain_run}/taskInstances/wait/tries"
        # by its proof: a try that waits still has the start of the one before
        while begun(proofs, "2") < len(victims) or not airflow.call("GET", path)["task_instances"][0]["end_date"]:
            assert time.monotonic() < deadline + 120, "no new try"
            time.sleep(1)
        (proofs / "released").touch()
        both = [airflow.tries("proof_of_work", run, "prove", number) for number in victims]
        started = [_seconds(gone[attempts[0]["hostname"]], attempts[1]["start_date"]) for attempts in both]
        lost = airflow.call("GET", path)["task_instances"][0]
        defaults = _seconds(gone[plain["hostname"]], lost["end_date"]) + DEFAULT_PAUSE_SECONDS
        print(f"from the end of the grace: tried again after {median(started):.0f} s, by default {defaults:.0f} s, of it a pause of 300 s")
        assert median(started) < 60
        assert defaults >= TIMES_FASTER * median(started)
        assert wait_for_end(airflow, "proof_of_work", run, 240) == "success"
    finally:
        api.patch_node(node, {"spec": {"unschedulable": None}})
        airflow.call("PATCH", f"/dags/airflows_own_executor/dagRuns/{plain_run}", json={"state": "failed"})


def test_a20_it_takes_a_fifth_of_the_time_that_the_defaults_take(power_cut: dict[str, Any], airflow: AirflowApi) -> None:
    """The last of this file, as the defaults take their time: node unreachable, Node object gone, pod collected, pause."""
    run, deadline = power_cut["plain_run"], time.monotonic() + 420
    tries = f"/dags/airflows_own_executor/dagRuns/{run}/taskInstances/wait/tries"
    while (first := airflow.call("GET", tries)["task_instances"][0])["end_date"] is None:
        assert time.monotonic() < deadline, "Airflow's own executor does not notice"
        time.sleep(5)
    noticed, started = _recoveries(airflow, power_cut)
    defaults = _seconds(power_cut["death"], first["end_date"])  # its second try follows after the pause, which nobody waits for here
    print(
        f"noticed after {median(noticed):.0f} s, tried again after {median(started):.0f} s; by default {defaults:.0f} s, and then a pause"
    )
    assert defaults > median(noticed)
    assert defaults + DEFAULT_PAUSE_SECONDS >= TIMES_FASTER * median(started)
    airflow.call("PATCH", f"/dags/airflows_own_executor/dagRuns/{run}", json={"state": "failed"})
