"""The outcome a new user sees, in the order of a first day. What only AWS can prove is listed in embedded/README.md.

Row ids are those of the feature list: A1-A19, A23, B1, B5-B7, B9, C1.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
import urllib.request
from collections import Counter
from pathlib import Path

import boto3
from kubernetes import client

from components.airflow_config import POD_TEMPLATE_FILE
from components.airflow_pods import POD_TEMPLATE_MAP
from embedded.cloud import Cloud
from operations.airflow_api import FINISHED, AirflowApi
from operations.deployment import Deployment
from operations.hibernation_pods import running_pods
from operations.placement import SPOT, WorkerWatch, lifecycles
from tests import canaries
from tests.browser import browser
from tests.e2e.conftest import HOME, NEXT_IMAGE_DAG, Commands, drop_dags, efs_folder, run_dag, run_python, wait_for_end
from tests.e2e.killer import begun, kill_in_every_phase, start_work

WORKERS = 100
ARCHIVE = ("--config", "airflow.logArchive.enabled=true", "--config", "airflow.logArchive.deleteWithStack=true")
"""From the upgrade on, as somebody would switch it on in a stack that runs."""
READ_ONLY = """
import os
import boto3
from botocore.exceptions import ClientError
bucket, _, prefix = os.environ["AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"].removeprefix("s3://").partition("/")
s3 = boto3.client("s3")
for call in (s3.put_object, s3.delete_object):
    try:
        call(Bucket=bucket, Key=f"{prefix}/forged.log")
        print(call.__name__, "was allowed")
    except ClientError as refusal:
        print(refusal)
"""


def test_c1_one_command_deploys_the_stack_and_says_how_to_use_it(
    first_up: subprocess.CompletedProcess[str], deployment: Deployment
) -> None:
    assert first_up.returncode == 0
    for text in (deployment.web_ui_url, "eksuser", "make password", "cost tags"):
        assert text in first_up.stdout, f"'make up' must end by saying {text!r}"
    assert deployment.admin_password not in first_up.stdout, "a password in a terminal's scroll-back is a leaked password"


def test_a13_the_web_ui_answers(deployment: Deployment) -> None:
    with urllib.request.urlopen(f"{deployment.web_ui_url}/api/v2/monitor/health", timeout=30) as answer:
        health = json.load(answer)
    states = {part: health[part]["status"] for part in ("metadatabase", "scheduler", "triggerer", "dag_processor")}
    assert set(states.values()) == {"healthy"}, states


def test_a14_every_core_pod_is_on_an_on_demand_node(deployment: Deployment) -> None:
    api = deployment.core_api()
    nodes = lifecycles(api)
    assert Counter(nodes.values()) == {"OnDemand": 2, SPOT: 2}
    pods = [pod for pod in api.list_namespaced_pod(deployment.namespace).items if "kubernetes_executor" not in (pod.metadata.labels or {})]
    placed = {pod.metadata.name: nodes.get(pod.spec.node_name) for pod in pods}
    assert placed, "there must be core pods"
    assert set(placed.values()) == {"OnDemand"}, placed


def test_a17_run_example_runs_every_task_on_a_spot_node(commands: Commands, deployment: Deployment) -> None:
    answer = commands.operate("run-example")
    assert answer.returncode == 0, answer.stdout
    assert SPOT in answer.stdout
    assert "OnDemand" not in answer.stdout


def test_a21_cost_runs_says_what_the_run_cost_spot_beside_on_demand(commands: Commands, deployment: Deployment) -> None:
    answer = commands.operate("cost-runs")
    assert answer.returncode == 0, answer.stdout
    line = next(line for line in answer.stdout.splitlines() if line.startswith("example_bash_operator"))
    pods, _, seconds, spot, on_demand, saving = line.split()[-6:]
    assert int(pods) >= 5, "a pod a task"
    assert float(seconds) > 0
    assert 0 < float(spot) < float(on_demand)
    assert saving == "62%", "m5.large in us-west-2, by the dated table"


def test_nodes_shows_pods_by_lifecycle(commands: Commands, deployment: Deployment) -> None:
    answer = commands.operate("nodes")
    assert answer.returncode == 0
    assert answer.stdout.count("Ec2Spot") == 2
    assert "scheduler" in answer.stdout


def test_logs_are_readable_after_the_worker_pod_is_gone(airflow: AirflowApi, deployment: Deployment) -> None:
    run_id = _finished_run(airflow)
    task = next(task for task in airflow.task_instances("example_bash_operator", run_id) if task["task_id"] == "runme_0")
    _wait_until_pods_are_gone(deployment, run_id)
    log = airflow.log("example_bash_operator", run_id, "runme_0", task["try_number"])
    assert "Running command" in log or "echo" in log, log


def _finished_run(airflow: AirflowApi) -> str:
    """The last run that succeeded, of those that earlier tests started."""
    params = {"state": "success", "order_by": "-run_after", "limit": 1}
    [run] = airflow.call("GET", "/dags/example_bash_operator/dagRuns", params=params)["dag_runs"]
    return str(run["dag_run_id"])


def _wait_until_pods_are_gone(deployment: Deployment, run_id: str) -> None:
    deadline = time.monotonic() + 60
    api = deployment.core_api()
    while _worker_pods(api, deployment.namespace, run_id):
        assert time.monotonic() < deadline, "Airflow deletes finished worker pods"
        time.sleep(1)


def _worker_pods(api: client.CoreV1Api, namespace: str, run_id: str) -> list[str]:
    pods = api.list_namespaced_pod(namespace, label_selector="kubernetes_executor=True").items
    return [pod.metadata.name for pod in pods if (pod.metadata.annotations or {}).get("run_id") == run_id]


def test_b7_both_dag_bundles_are_listed_and_a_file_dropped_in_efs_becomes_a_dag(airflow: AirflowApi, cloud: Cloud) -> None:
    folder = efs_folder(cloud, "dags")
    dropped = folder / "dropped_in.py"
    dropped.write_text(
        "from airflow.sdk import dag, task\n\n\n@dag(schedule=None)\ndef dropped_in():\n    @task\n    def hello():\n"
        "        print('hello from the shared folder')\n\n    hello()\n\n\ndropped_in()\n"
    )
    run_id, state = run_dag(airflow, "dropped_in", seconds=180)
    assert state == "success"
    assert "hello from the shared folder" in airflow.log("dropped_in", run_id, "hello")
    bundles = {dag["bundle_name"] for dag in airflow.call("GET", "/dags")["dags"]}
    assert len(bundles) == 2, f"the image's DAGs and the shared folder's, got {bundles}"


def test_a18_a19_the_checkpoint_dag_finishes_and_leaves_its_pieces(airflow: AirflowApi) -> None:
    _, state = run_dag(airflow, "spot_checkpoint", {"pieces": 3, "seconds_per_piece": 1})
    assert state == "success"


def test_fan_out_maps_its_tasks_onto_spot_nodes(airflow: AirflowApi, deployment: Deployment) -> None:
    with WorkerWatch(deployment) as watch:
        run_id, state = run_dag(airflow, "spot_fan_out", {"tasks": 8, "seconds": 1})
    assert state == "success"
    mapped = [task for task in airflow.task_instances("spot_fan_out", run_id) if task["map_index"] >= 0]
    assert len(mapped) == 8
    assert {pod.lifecycle for pod in watch.pods.values()} == {SPOT}


def test_a15_100_worker_pods_are_all_bound_to_spot_nodes_while_no_core_pod_is(deployment: Deployment) -> None:
    """Pods made from the stack's own worker template, small enough to be scheduled at once; the real scheduler decides."""
    api = deployment.core_api()
    template = _worker_template(api, deployment.namespace)
    [scheduler, *_] = api.list_namespaced_pod(deployment.namespace, label_selector="component=scheduler").items
    image = scheduler.spec.containers[0].image
    for container in template["spec"]["containers"]:
        container["args"] = ["bash", "-c", "true"]
        container["image"] = image  # as the executor does
        container["resources"] = {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
    labels = {**template["metadata"].get("labels", {}), "test": "a15"}
    for number in range(WORKERS):
        metadata = {**template["metadata"], "name": f"placement-{number}", "labels": labels}
        metadata.pop("namespace", None)
        api.create_namespaced_pod(deployment.namespace, {**template, "metadata": metadata})
    try:
        nodes = lifecycles(api)
        deadline = time.monotonic() + 600
        bound: dict[str, str] = {}
        while len(bound) < WORKERS and time.monotonic() < deadline:
            pods = api.list_namespaced_pod(deployment.namespace, label_selector="test=a15").items
            bound |= {pod.metadata.name: pod.spec.node_name for pod in pods if pod.spec.node_name}
            for pod in pods:  # a node holds 29 pods: make room as they end
                if pod.status.phase in ("Succeeded", "Failed"):
                    api.delete_namespaced_pod(pod.metadata.name, deployment.namespace, grace_period_seconds=0)
            time.sleep(1)
        assert len(bound) == WORKERS, f"only {len(bound)} were bound"
        assert Counter(nodes[node] for node in bound.values()) == {SPOT: WORKERS}
        core = [pod for pod in api.list_namespaced_pod(deployment.namespace).items if "component" in (pod.metadata.labels or {})]
        strays = [
            pod.metadata.name for pod in core if pod.metadata.labels["component"] != "worker" and nodes.get(pod.spec.node_name) == SPOT
        ]
        assert not strays
    finally:
        api.delete_collection_namespaced_pod(deployment.namespace, label_selector="test=a15", grace_period_seconds=0)


def _worker_template(api: client.CoreV1Api, namespace: str) -> dict[str, object]:
    import yaml

    return yaml.safe_load(api.read_namespaced_config_map(POD_TEMPLATE_MAP, namespace).data[POD_TEMPLATE_FILE])


def test_a_person_logs_in_triggers_a_dag_and_reads_a_log_in_a_real_browser(
    deployment: Deployment, airflow: AirflowApi, screenshots: Path
) -> None:
    """A16, A17."""
    before = {run["dag_run_id"] for run in airflow.call("GET", "/dags/example_bash_operator/dagRuns")["dag_runs"]}
    with browser() as chromium:
        page = chromium.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(deployment.web_ui_url)
        page.locator("input[name=username]").fill(deployment.admin_user)
        page.locator("input[name=password]").fill(deployment.admin_password)
        page.screenshot(path=screenshots / "1-login.png")
        page.locator("input[type=submit], button[type=submit]").first.click()
        page.wait_for_url(lambda url: "login" not in url)
        page.goto(f"{deployment.web_ui_url}/dags/example_bash_operator")
        page.get_by_role("button", name="Trigger").first.click()
        page.get_by_role("dialog").get_by_role("button", name="Trigger").click()
        page.get_by_text("successfully triggered").first.wait_for()
        page.screenshot(path=screenshots / "2-triggered.png")
        page.wait_for_timeout(3000)  # the page counts the new run in a moment
        run_id = airflow.call("GET", "/dags/example_bash_operator/dagRuns", params={"order_by": "-run_after"})["dag_runs"][0]["dag_run_id"]
        assert run_id not in before, "the click must have started a run"
        page.goto(f"{deployment.web_ui_url}/dags/example_bash_operator/runs/{run_id}")
        deadline = time.monotonic() + 300
        while (state := airflow.run_state("example_bash_operator", run_id)) not in FINISHED and time.monotonic() < deadline:
            page.wait_for_timeout(1000)
        assert state == "success"
        page.reload()
        page.get_by_text("Success", exact=True).first.wait_for()
        page.screenshot(path=screenshots / "3-success.png")
        page.goto(f"{deployment.web_ui_url}/dags/example_bash_operator/runs/{run_id}/tasks/runme_0?try_number=1")
        page.get_by_text("Running command", exact=False).first.wait_for()
        page.screenshot(path=screenshots / "4-log.png")


def test_a20_workers_killed_in_every_phase_lose_no_task_and_no_log(airflow: AirflowApi, cloud: Cloud, deployment: Deployment) -> None:
    """A few; `make trials` kills a hundred."""
    drop_dags(cloud, "proof_of_work")
    kill_in_every_phase(airflow, cloud, deployment, kills=3, seconds=300)


def test_b3_no_secret_is_in_a_log_of_cloud_node_pod_or_task_or_in_an_image(cloud: Cloud, deployment: Deployment) -> None:
    """Before the upgrade, which takes the old pods' logs away; what else could hold one is searched by the engine tier."""
    data = deployment.core_api().read_namespaced_secret("airflow-secrets", deployment.namespace).data
    planted = {key: base64.b64decode(value).decode() for key, value in data.items()}
    assert {"sql-alchemy-conn", "fernet-key", "api-secret-key", "jwt-secret", "admin-password"} < set(planted)
    layers = dict(canaries.image_layers(cloud))
    logs = dict(canaries.logs(cloud))
    assert any(b"airflow_local_settings" in content for content in layers.values()), "the stack's own layers are searched"
    assert any(b"Changing state of" in content for content in logs.values()), "the scheduler's log is searched"
    assert any(b"try 1 of task 0 begins" in content for content in logs.values()), "tasks' logs are searched"
    leaks = {where: hits for where, content in (layers | logs).items() if (hits := canaries.found_in(content, planted))}
    assert leaks == {}


def test_b5_an_upgrade_migrates_first_and_costs_a_running_dag_no_try(
    commands: Commands, airflow: AirflowApi, cloud: Cloud, deployment: Deployment
) -> None:
    """A task begins with the old image and ends after the new one has taken over; what follows is deployed from the new image."""
    drop_dags(cloud, "proof_of_work")
    run_id, proofs = start_work(airflow, cloud, tasks=3, seconds=1, held=True)
    try:
        deadline = time.monotonic() + 120
        while begun(proofs) < 3:
            assert time.monotonic() < deadline, "the tasks do not begin"
            time.sleep(1)
        before = _core_pods(deployment)
        NEXT_IMAGE_DAG.write_text(
            "from airflow.sdk import dag, task\n\n\n@dag(schedule=None)\ndef only_in_the_next_image():\n    @task\n    def hello():\n"
            "        print('hello from the next image')\n\n    hello()\n\n\nonly_in_the_next_image()\n"
        )
        answer = commands.embedded(*ARCHIVE, "up")
        assert answer.returncode == 0, answer.stdout[-4000:]
        after = _core_pods(deployment)
        assert {pod.spec.containers[0].image for pod in after}.isdisjoint(pod.spec.containers[0].image for pod in before)
        api = client.BatchV1Api(deployment.core_api().api_client)
        [migration] = api.list_namespaced_job(deployment.namespace, label_selector="component=migrations").items
        assert migration.spec.template.spec.containers[0].image == after[0].spec.containers[0].image
        assert migration.status.completion_time <= min(pod.metadata.creation_timestamp for pod in after), "the database is migrated first"
        assert airflow.run_state("proof_of_work", run_id) == "running"
    finally:  # what comes after must not meet tasks that never end
        (proofs / "released").touch()
    assert wait_for_end(airflow, "proof_of_work", run_id, 120) == "success"
    assert {task["try_number"] for task in airflow.task_instances("proof_of_work", run_id)} == {1}
    assert len(list(proofs.glob("done-*-1"))) == 3
    assert run_dag(airflow, NEXT_IMAGE_DAG.stem)[1] == "success"


def test_b9_the_log_of_a_try_moves_to_s3_by_the_pods_own_role_and_is_read_from_there(
    airflow: AirflowApi, cloud: Cloud, deployment: Deployment
) -> None:
    """Of the run that the upgraded stack has just finished."""
    [run] = airflow.call("GET", f"/dags/{NEXT_IMAGE_DAG.stem}/dagRuns")["dag_runs"]
    s3 = boto3.client("s3", "us-west-2", endpoint_url=cloud.aws_endpoint, aws_access_key_id="embedded", aws_secret_access_key="embedded")
    [bucket] = [found["Name"] for found in s3.list_buckets()["Buckets"]]
    key = f"logs/dag_id={NEXT_IMAGE_DAG.stem}/run_id={run['dag_run_id']}/task_id=hello/attempt=1.log"
    deadline = time.monotonic() + 60
    while not (stored := s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])):
        assert time.monotonic() < deadline, "a worker uploads the log once its task has ended"
        time.sleep(1)
    assert [(item["Key"], item["Size"] > 0) for item in stored] == [(key, True)]
    on_file_system = efs_folder(cloud, "logs") / key.removeprefix("logs/")
    deadline = time.monotonic() + 60
    while on_file_system.read_text():
        assert time.monotonic() < deadline, "what is in S3 is not kept twice"
        time.sleep(0.2)
    on_file_system.unlink()
    log = airflow.log(NEXT_IMAGE_DAG.stem, run["dag_run_id"], "hello")
    assert "hello from the next image" in log
    assert f"s3://{bucket}/{key}" in log, "the web UI says where it has it from"


def test_b3_only_pods_with_a_role_get_credentials_and_they_allow_what_the_role_does(deployment: Deployment) -> None:
    variables = {
        pod.metadata.labels["component"]: {variable.name for variable in pod.spec.containers[0].env or []} for pod in _core_pods(deployment)
    }
    with_role = {component for component, names in variables.items() if "AWS_CONTAINER_CREDENTIALS_FULL_URI" in names}
    assert with_role == {"api-server", "triggerer"}, "scheduler and DAG processor have nothing to do with S3"
    answer = run_python(deployment, "api-server", READ_ONLY)
    assert "allowed" not in answer
    refusal = "assumed-role/airflow-log-archive-read-role.* is not authorized to perform: s3:{}Object"
    assert all(re.search(refusal.format(verb), answer) for verb in ("Put", "Delete")), answer


def _core_pods(deployment: Deployment) -> list[client.V1Pod]:
    selector = "tier=airflow,component in (api-server,scheduler,dag-processor,triggerer)"
    pods = deployment.core_api().list_namespaced_pod(deployment.namespace, label_selector=selector).items
    return [pod for pod in pods if not pod.metadata.deletion_timestamp]


def test_b11_a_stack_wakes_with_its_runs_logs_and_log_in(commands: Commands, airflow: AirflowApi, deployment: Deployment) -> None:
    """What follows, a second up and a refresh, shows that the stack is as it was before it slept."""
    run_id = _finished_run(airflow)
    api, began = deployment.core_api(), time.monotonic()
    while tasks := running_pods(api, deployment.namespace, tasks=True):  # a pod outlives its task
        assert time.monotonic() < began + 120, tasks
        time.sleep(1)
    print(f"no task runs any more after {time.monotonic() - began:.0f} s")
    answer = commands.operate("sleep")
    assert answer.returncode == 0, answer.stdout
    assert deployment.core_api().list_node().items == []
    answer = commands.operate("wake")
    assert answer.returncode == 0, answer.stdout
    awake = AirflowApi(deployment)  # logs in
    assert awake.run_state("example_bash_operator", run_id) == "success"
    assert "Running command" in awake.log("example_bash_operator", run_id, "runme_0")
    assert commands.operate("wake").returncode == 1, "it is not asleep"


def test_a_second_up_changes_nothing(commands: Commands, deployment: Deployment) -> None:
    answer = commands.embedded(*ARCHIVE, "up")
    assert answer.returncode == 0
    assert "nothing changed" in answer.stdout


def test_refresh_finds_no_drift(commands: Commands, deployment: Deployment) -> None:
    answer = commands.embedded("refresh")
    assert answer.returncode == 0, answer.stdout
    assert "drift: none" in answer.stdout


def test_a23_down_leaves_nothing(commands: Commands, cloud: Cloud) -> None:
    from embedded.processes import running, start_time

    processes = running(cloud)
    answer = commands.embedded("down")
    assert answer.returncode == 0, answer.stdout
    assert "nothing left" in answer.stdout
    assert not HOME.exists()
    assert not Path(f"/sys/class/net/{cloud.bridge}").exists()
    still = [process.name for process in processes if start_time(process.pid) == process.started]
    assert not still, f"processes outlive 'make down': {still}"
