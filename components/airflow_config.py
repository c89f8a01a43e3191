"""Airflow's configuration as `AIRFLOW__*` variables. Pure, and free of secrets: worker pods read all of it.

Only what differs from Airflow 3.3's own defaults stands here. Most of it says one thing: nodes of workers come late and go early.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

HOME = "/opt/airflow"
IMAGE_DAGS = f"{HOME}/dags"
SHARED_DAGS = f"{HOME}/shared-dags"
CLONED_DAGS = "/tmp/dag-bundles"
LOGS = f"{HOME}/logs"
POD_TEMPLATES = f"{HOME}/pod_templates"
SECRETS = f"{HOME}/secrets"
DATABASE_TRUST_STORE = f"{HOME}/database-ca.pem"
"""In the image, from docker/Dockerfile: the authorities that RDS servers have their certificates from."""
POD_TEMPLATE_FILE = "pod_template_file.yaml"
ON_DEMAND_TEMPLATE_FILE = "on_demand.yaml"
"""What `on_demand()` in docker/airflow_on_eks names."""
NODE_SILENCE_SECONDS = 30
"""A kubelet renews its node's lease every ten seconds (its default, and EKS's): three times missed is a lost node."""
API_PORT = 8080
SCHEDULER_HEALTH_PORT = 8974
TRIGGERER_LOG_PORT = 8794
API_SERVICE = "airflow-api-server"
METRICS_SERVICE = "airflow-statsd"
METRICS_PORT = 9125
BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
IMAGE_REFRESH_SECONDS = 300
SHARED_REFRESH_SECONDS = 30
"""A file dropped on the file system is a DAG after this and one parse."""


@dataclass(frozen=True, kw_only=True)
class AirflowOptions:
    """The part of the configuration that stacks choose."""

    namespace: str
    deployment: str
    """Unique name of this Airflow: a token signed by another one is refused."""
    task_retries: int
    task_retry_delay_seconds: int
    task_timeout_minutes: int
    interruption_retries: int
    worker_pods_creation_batch_size: int
    secure_cookies: bool
    """True behind TLS; over plain HTTP browsers would drop the session."""
    base_url: str = ""
    """Where people reach the web UI, for links and redirects; empty: at whatever name they came by."""
    metrics: bool = False
    """Whether there is a StatsD exporter to report to."""
    more_bundles: tuple[dict[str, Any], ...] = ()
    """DAG bundles besides those of the image and the shared file system."""


def airflow_config(options: AirflowOptions) -> dict[str, str]:
    """Environment of every Airflow process."""
    sections: dict[str, dict[str, object]] = {
        "core": _core(options),
        "api": {"base_url": options.base_url} if options.base_url else {},
        "api_auth": {"jwt_issuer": f"airflow-on-eks/{options.deployment}"},
        "dag_processor": _dag_processor(options),
        "fab": {"cookie_secure": options.secure_cookies, "session_lifetime_minutes": 720},
        "kubernetes_executor": _kubernetes_executor(options),
        "logging": {"base_log_folder": LOGS, "colored_console_log": False, "remote_logging": False},
        "metrics": _metrics() if options.metrics else {},
        "scheduler": _scheduler(),
        # survive a slow or restarting database: three missed reports of ten seconds are no reason to restart
        "triggerer": {"triggerer_health_check_threshold": 60},
        "workers": _workers(),
    }
    variables: dict[str, object] = {
        "AIRFLOW_HOME": HOME,
        # an existing empty file: where none is, Airflow writes one, and the root file system is read-only
        "AIRFLOW_CONFIG": "/dev/null",
        # the entrypoint's wait for the database starts Airflow's command line once more; Jobs and probes cover it
        "CONNECTION_CHECK_MAX_COUNT": "0",
        # read by docker/airflow_local_settings.py and docker/plugins/interruptions.py
        "AIRFLOW_ON_EKS_TASK_TIMEOUT_MINUTES": options.task_timeout_minutes,
        "AIRFLOW_ON_EKS_INTERRUPTION_RETRIES": options.interruption_retries,
        "AIRFLOW_ON_EKS_NODE_SILENCE_SECONDS": NODE_SILENCE_SECONDS,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    keys = {f"AIRFLOW__{section}__{key}".upper(): value for section, values in sections.items() for key, value in values.items()}
    return {key: str(value) for key, value in (variables | keys).items()}


def _core(options: AirflowOptions) -> dict[str, object]:
    return {
        # docker/airflow_on_eks: KubernetesExecutor that sees lost nodes and pods in time
        "executor": "airflow_on_eks.spot_executor.SpotKubernetesExecutor",
        "auth_manager": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "dags_folder": IMAGE_DAGS,
        "load_examples": False,
        "execution_api_server_url": f"http://{API_SERVICE}:{API_PORT}/execution/",
        # a reclaimed node costs a try; Airflow's default of none would fail the run
        "default_task_retries": options.task_retries,
        "default_task_retry_delay": options.task_retry_delay_seconds,
    }


def _dag_processor(options: AirflowOptions) -> dict[str, object]:
    def bundle(name: str, path: str, refresh_seconds: int) -> dict[str, object]:
        return {"name": name, "classpath": BUNDLE, "kwargs": {"path": path, "refresh_interval": refresh_seconds}}

    bundles = [bundle("image", IMAGE_DAGS, IMAGE_REFRESH_SECONDS), bundle("shared", SHARED_DAGS, SHARED_REFRESH_SECONDS)]
    return {
        "dag_bundle_config_list": json.dumps([*bundles, *options.more_bundles]),
        # for what is cloned: the root file system is read-only
        "dag_bundle_storage_path": CLONED_DAGS,
        # parsing over NFS is slower and each pass costs throughput
        "min_file_process_interval": 60,
        "dag_file_processor_timeout": 120,
        "stale_dag_threshold": 120,
        "health_check_threshold": 60,
    }


def _kubernetes_executor(options: AirflowOptions) -> dict[str, object]:
    return {
        "namespace": options.namespace,
        # no worker_container_repository and _tag: the template's image, a digest, must win
        "pod_template_file": f"{POD_TEMPLATES}/{POD_TEMPLATE_FILE}",
        "multi_namespace_mode": False,
        "worker_pods_creation_batch_size": options.worker_pods_creation_batch_size,
        # refill fast after a reclaim
        "async_pod_creation": True,
        "pod_creation_max_concurrency": 8,
        # a pod lost before its task began is started again without costing a try
        "pod_launch_failure_retries": 5,
        # a container that was killed while Airflow started in it counts as well: by default a reason of "Error" takes a try
        "pod_launch_failure_excluded_container_reasons": "",
        "delete_worker_pods": True,
        "delete_worker_pods_on_failure": True,  # the log outlives the pod on the file system
    }


def _metrics() -> dict[str, object]:
    return {
        "statsd_on": True,
        "statsd_host": METRICS_SERVICE,
        "statsd_port": METRICS_PORT,
        "statsd_prefix": "airflow",
        # DAG, task and pool as tags of few metrics, in a form that the exporter makes labels of, and not as names without end
        "statsd_influxdb_enabled": True,
        "legacy_names_on": False,
    }


def _scheduler() -> dict[str, object]:
    return {
        "enable_health_check": True,
        "scheduler_health_check_server_port": SCHEDULER_HEALTH_PORT,
        # longer than a database failover
        "scheduler_health_check_threshold": 60,
        "orphaned_tasks_check_interval": 60,
        "max_tis_per_query": 32,
        # longer than a new Spot node takes; it is also how long the token of a waiting task lives
        "task_queued_timeout": 1800,
        "task_queued_timeout_check_interval": 60,
    }


def _workers() -> dict[str, object]:
    return {
        # a request that gets no answer is repeated after up to 15 seconds; with the default five attempts a task that starts or ends
        # fails after about ten seconds, less than an API server takes to restart. Twelve outlast a minute, and two heartbeats that fail
        # so stay below the 300 seconds after which the scheduler gives a silent task up
        "execution_api_retries": 12,
        "execution_api_retry_wait_max": 15,
        "max_failed_heartbeats": 2,
        "min_heartbeat_interval": 10,
        "execution_api_timeout": 15,
        # within the grace period of a reclaimed pod
        "socket_cleanup_timeout": 15,
    }
