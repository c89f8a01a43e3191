"""Airflow's metrics as Prometheus would read them (row B8): the exporter of `airflow.metrics`, and a process of Airflow that reports to it.

The exporter is deployed beside the stack and goes again: the setting itself would restart all of Airflow twice. Runs before the file whose
last test takes the stack down.
"""

from __future__ import annotations

import json
import re

import pulumi
import pulumi_kubernetes as k8s

from components.airflow_config import AirflowOptions, airflow_config
from components.airflow_metrics import AirflowMetrics, AirflowMetricsArgs
from embedded.cloud import PROJECT, Cloud
from embedded.control_plane import admin_kubeconfig
from embedded.engine import open_stack
from operations.deployment import Deployment
from operations.stack_file import parsed_file
from tests.e2e.conftest import STACK, run_python

SETTINGS = parsed_file(PROJECT, STACK)[0]["airflow"]
OPTIONS = AirflowOptions(
    namespace="airflow",
    deployment="metrics",
    task_retries=1,
    task_retry_delay_seconds=1,
    task_timeout_minutes=1,
    interruption_retries=1,
    worker_pods_creation_batch_size=1,
    secure_cookies=False,
    metrics=True,
)
DAGS = {"example_bash_operator", "spot_checkpoint", "spot_fan_out"}
SCRIPT = """
import json, os, subprocess, urllib.request
os.environ |= json.loads(GIVEN)
subprocess.run(["airflow", "dag-processor", "--num-runs", "1"], check=True, capture_output=True, timeout=110)
with urllib.request.urlopen("http://airflow-statsd:9102/metrics", timeout=5) as answer:
    print("found " + json.dumps([line for line in answer.read().decode().splitlines() if line.startswith("airflow_")]))
"""
"""Run where Airflow runs: a second DAG processor, which reads every file once."""


def test_b8_a_scrape_shows_what_airflow_reports_with_what_varies_as_labels(cloud: Cloud, deployment: Deployment) -> None:
    told = {key: value for key, value in airflow_config(OPTIONS).items() if key.startswith("AIRFLOW__METRICS__")}

    def exporter() -> None:
        cluster = k8s.Provider("cluster", kubeconfig=admin_kubeconfig(cloud).read_text())
        args = AirflowMetricsArgs(namespace=deployment.namespace, release="airflow", image=SETTINGS.metrics.image)
        AirflowMetrics("metrics", args, pulumi.ResourceOptions(providers=[cluster]))

    stack = open_stack(cloud, "dev", program=exporter)
    try:
        stack.up(suppress_progress=True)
        answer = run_python(deployment, "dag-processor", SCRIPT.replace("GIVEN", repr(json.dumps(told))), seconds=120)
    finally:
        stack.destroy(suppress_progress=True)
        stack.workspace.remove_stack("dev")
    [line] = [line.removeprefix("found ") for line in answer.splitlines() if line.startswith("found ")]
    series = [(re.split(r"[{ ]", text)[0], dict(re.findall(r'[{,](\w+)="([^"]*)"', text))) for text in json.loads(line)]
    read = {labels["file_name"] for name, labels in series if name == "airflow_dag_processing_last_duration_count"}
    assert read >= DAGS, f"one metric of all DAG files, told apart by a label; scraped were {series}"
    assert not [name for name, _ in series if any(dag in name for dag in DAGS)], "a series for each name would have no end"
