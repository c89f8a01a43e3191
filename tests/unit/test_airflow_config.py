"""B1, B7, A18 and the Spot settings. That Airflow 3.3.2 knows every key was checked against its own configuration reference."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.airflow_config import AirflowOptions, airflow_config

SECRET_KEYS = {"SQL_ALCHEMY_CONN", "SQL_ALCHEMY_CONN_ASYNC", "FERNET_KEY", "SECRET_KEY", "JWT_SECRET"}


def config(**changes: Any) -> dict[str, str]:
    plan = {
        "namespace": "airflow",
        "deployment": "airflow-dev",
        "task_retries": 2,
        "task_retry_delay_seconds": 60,
        "task_timeout_minutes": 360,
        "interruption_retries": 5,
        "worker_pods_creation_batch_size": 16,
        "secure_cookies": False,
    }
    return airflow_config(AirflowOptions(**{**plan, **changes}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("CORE__EXECUTOR", "airflow_on_eks.spot_executor.SpotKubernetesExecutor"),
        ("CORE__AUTH_MANAGER", "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"),
        ("CORE__LOAD_EXAMPLES", "False"),
        ("CORE__EXECUTION_API_SERVER_URL", "http://airflow-api-server:8080/execution/"),
        ("CORE__DEFAULT_TASK_RETRIES", "2"),
        ("CORE__DEFAULT_TASK_RETRY_DELAY", "60"),
        ("KUBERNETES_EXECUTOR__NAMESPACE", "airflow"),
        ("KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE", "/opt/airflow/pod_templates/pod_template_file.yaml"),
        ("KUBERNETES_EXECUTOR__WORKER_PODS_CREATION_BATCH_SIZE", "16"),
        ("KUBERNETES_EXECUTOR__POD_LAUNCH_FAILURE_RETRIES", "5"),
        ("SCHEDULER__TASK_QUEUED_TIMEOUT", "1800"),
        ("SCHEDULER__ENABLE_HEALTH_CHECK", "True"),
        ("WORKERS__MAX_FAILED_HEARTBEATS", "2"),
        ("LOGGING__BASE_LOG_FOLDER", "/opt/airflow/logs"),
        ("API_AUTH__JWT_ISSUER", "airflow-on-eks/airflow-dev"),
    ],
)
def test_the_configuration_says(key: str, value: str) -> None:
    assert config()[f"AIRFLOW__{key}"] == value


def test_no_secret_stands_in_what_every_pod_reads() -> None:
    assert not [key for key in config() if key.rpartition("__")[2] in SECRET_KEYS]


def test_the_workers_image_comes_from_the_template_where_it_is_a_digest() -> None:
    assert not [key for key in config() if "WORKER_CONTAINER" in key]


def test_b7_dags_come_from_the_image_and_from_the_shared_folder() -> None:
    bundles = json.loads(config()["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
    assert {bundle["name"]: bundle["kwargs"]["path"] for bundle in bundles} == {
        "image": "/opt/airflow/dags",
        "shared": "/opt/airflow/shared-dags",
    }
    assert {bundle["classpath"] for bundle in bundles} == {"airflow.dag_processing.bundles.local.LocalDagBundle"}


def test_a_silent_task_gives_up_before_the_scheduler_does_and_outlasts_a_restart_of_the_api_server() -> None:
    """Airflow waits between two attempts for a random time, of 1 second to twice as long as before, up to the setting."""
    keys = ("MAX_FAILED_HEARTBEATS", "MIN_HEARTBEAT_INTERVAL", "EXECUTION_API_RETRIES", "EXECUTION_API_RETRY_WAIT_MAX")
    failures, interval, attempts, wait = (int(config()[f"AIRFLOW__WORKERS__{key}"]) for key in keys)
    longest = [min(2**attempt, wait) for attempt in range(attempts - 1)]
    airflows_own_heartbeat_timeout = 300
    assert failures * (interval + sum(longest)) < airflows_own_heartbeat_timeout
    assert sum((1 + each) / 2 for each in longest) > 60, "on average"


@pytest.mark.parametrize("secure", [True, False])
def test_cookies_are_secure_behind_tls_and_usable_without(secure: bool) -> None:
    assert config(secure_cookies=secure)["AIRFLOW__FAB__COOKIE_SECURE"] == str(secure)


def test_nothing_is_written_onto_the_read_only_root() -> None:
    assert config()["AIRFLOW_CONFIG"] == "/dev/null", "where no file is, Airflow writes one"
    assert config()["PYTHONDONTWRITEBYTECODE"] == "1"
