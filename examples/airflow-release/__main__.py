"""Airflow on a cluster, a database and volumes that somebody else made: one component, plain values."""

import sys
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

sys.path.append(str(Path(__file__).parents[2]))  # where components/ is; in a project of your own, a copy or a submodule

from components.airflow_database import DatabaseConnection
from components.airflow_release import AirflowRelease, AirflowReleaseArgs
from components.efs_storage import SharedVolumes
from components.settings import CleanupSettings, FernetKeySettings, LogArchiveSettings, MetricsSettings, ReplicaSettings

config = pulumi.Config()
cluster = k8s.Provider(
    "cluster", kubeconfig=config.require_secret("kubeconfig"), enable_config_map_mutable=True, enable_secret_mutable=True
)

airflow = AirflowRelease(
    "airflow",
    AirflowReleaseArgs(
        image=config.require("image"),
        database=DatabaseConnection(host=config.require("databaseHost"), password=config.require_secret("databasePassword")),
        volumes=SharedVolumes(
            storage_class=config.get("storageClass") or "airflow-sc",
            dags=config.get("dagsVolume") or "airflow-dags",
            logs=config.get("logsVolume") or "airflow-logs",
        ),
        deployment=f"{pulumi.get_project()}-{pulumi.get_stack()}",
        version="3.3.2",
        admin_user="admin",
        admin_email="admin@example.com",
        task_retries=2,
        task_retry_delay_seconds=60,
        task_timeout_minutes=360,
        interruption_retries=5,
        worker_grace_period_seconds=100,
        worker_pods_creation_batch_size=16,
        worker_cpu="250m",
        worker_memory="1Gi",
        replicas=ReplicaSettings(api_server=1, scheduler=1, dag_processor=1, triggerer=1),
        fernet_key=FernetKeySettings(generation=1, oldest_accepted=1),
        metrics=MetricsSettings(enabled=False, image=""),
        cleanup=CleanupSettings(pods=False, database_retention_days=0, log_retention_days=0),
        log_archive=LogArchiveSettings(enabled=False, retention_days=0, delete_with_stack=False),
        web_allowed_cidrs=(),
        web_certificate_arn=None,
        web_port=8080,
        tags={"Project": pulumi.get_project(), "Stack": pulumi.get_stack(), "ManagedBy": "pulumi"},
    ),
    pulumi.ResourceOptions(providers=[cluster]),
)

pulumi.export("web_ui_url", airflow.web_ui_url)
pulumi.export("admin_user", airflow.admin_user)
pulumi.export("admin_password", airflow.admin_password)
