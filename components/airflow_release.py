"""Apache Airflow on a Kubernetes cluster, as typed objects: every one has its own diff in a preview.

Owns the namespace and all in it, and the keys Airflow signs and encrypts with. The database, the volumes, the image and the nodes come from
outside. Order: database migration, first user, then the four programs; the web UI's load balancer last up and first down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random
import yaml

from components import airflow_objects as objects
from components import airflow_pods, git_dags_plan, log_archive, pod_security, web_ui
from components.airflow_config import ON_DEMAND_TEMPLATE_FILE, POD_TEMPLATE_FILE, AirflowOptions, airflow_config
from components.airflow_database import DatabaseConnection
from components.airflow_entrance import internal_service, url, web_service
from components.airflow_keys import generated_keys
from components.airflow_maintenance import AirflowMaintenance, AirflowMaintenanceArgs
from components.airflow_manifests import given_manifests
from components.airflow_metrics import AirflowMetrics, AirflowMetricsArgs
from components.airflow_workloads import RELEASE, Place, job, program
from components.efs_storage import SharedVolumes
from components.git_dags import GitDags, GitDagsArgs
from components.log_archive import LogArchive, LogArchiveArgs
from components.settings import (
    CleanupSettings,
    Fallback,
    FernetKeySettings,
    GitDagsSettings,
    LogArchiveSettings,
    MetricsSettings,
    ReplicaSettings,
)
from components.worker_pod import IMAGE_VARIABLES, WorkerPod, on_demand_pod, worker_image, worker_pod

NAMESPACE = "airflow"


@dataclass(frozen=True, kw_only=True)
class AirflowReleaseArgs:
    """What runs, against what, and how it is reached."""

    image: pulumi.Input[str]
    """Image by digest, for every pod."""
    database: DatabaseConnection
    volumes: SharedVolumes

    deployment: str
    """Name of this Airflow, unlike that of any other that could be sent its tokens: the cluster's will do."""
    version: str
    admin_user: str
    admin_email: str
    task_retries: int
    task_retry_delay_seconds: int
    task_timeout_minutes: int
    interruption_retries: int
    worker_grace_period_seconds: int
    worker_pods_creation_batch_size: int
    worker_cpu: str
    worker_memory: str
    worker_fallback: Fallback = "none"
    """on-demand: tasks also run on overflow nodes, when no Spot node has room."""
    replicas: ReplicaSettings
    fernet_key: FernetKeySettings
    metrics: MetricsSettings
    cleanup: CleanupSettings
    log_archive: LogArchiveSettings
    """With an archive, `deployment` is the EKS cluster's name and `kms_key_arn` is needed."""
    git_dags: GitDagsSettings | None = None
    kms_key_arn: pulumi.Input[str] | None = None
    """Key of what is stored outside of the cluster: archived logs."""
    web_allowed_cidrs: tuple[str, ...]
    """Empty: the load balancer is internal."""
    web_certificate_arn: str | None
    web_domain_name: str | None = None
    """Name that people open; None: the load balancer's own."""
    web_hosted_zone_id: str | None = None
    """Route 53 zone in which the name is made; None: somebody else makes it."""
    web_port: int
    tags: Mapping[str, str]


class AirflowRelease(pulumi.ComponentResource):
    """Scheduler, API server, DAG processor and triggerer on core nodes; tasks in pods of their own on Spot nodes."""

    web_ui_url: pulumi.Output[str]
    """Where a browser goes."""
    admin_user: pulumi.Output[str]
    """Name of the first administrator."""
    admin_password: pulumi.Output[str]
    """Their password, a secret."""
    namespace: pulumi.Output[str]
    """Namespace of all pods."""

    def __init__(self, name: str, args: AirflowReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:AirflowRelease", name, None, opts)
        self._args = args
        child = pulumi.ResourceOptions(parent=self)
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace", metadata={"name": NAMESPACE, "labels": dict(pod_security.NAMESPACE_LABELS)}, opts=child
        )
        self._place = Place(name=name, namespace=namespace.metadata["name"], opts=child)

        priority = k8s.scheduling.v1.PriorityClass(
            f"{name}-priority",
            metadata={"name": airflow_pods.PRIORITY_CLASS},
            value=1_000_000,
            description="Airflow's own programs: the last to be evicted from a node that runs out of room",
            opts=child,
        )
        given = given_manifests(name, self._place.namespace, child)
        password = random.RandomPassword(f"{name}-admin-password", length=20, special=False, opts=child).result
        # made once and kept in the state: a new signing key would void the token of every running task
        secrets = {
            "sql-alchemy-conn": args.database.sync_uri,
            "sql-alchemy-conn-async": args.database.async_uri,
            **generated_keys(name, args.fernet_key, child),
            objects.ADMIN_PASSWORD: password,
        }
        git = self._git_dags()
        config: dict[str, Any] = airflow_config(self._options()) | self._log_archive()
        worker = pulumi.Output.from_input(args.image).apply(worker_image)
        worker_variables = {variable: worker[variable] for variable in IMAGE_VARIABLES}
        files = [
            k8s.core.v1.Secret(f"{name}-secrets", metadata=self._place.metadata(airflow_pods.SECRET), string_data=secrets, opts=child),
            k8s.core.v1.ConfigMap(f"{name}-config", metadata=self._place.metadata(airflow_pods.CONFIG_MAP), data=config, opts=child),
            k8s.core.v1.ConfigMap(
                f"{name}-worker-pod",
                metadata=self._place.metadata(airflow_pods.POD_TEMPLATE_MAP),
                data=self._worker_templates(),
                opts=child,
            ),
        ]
        claims = [
            self._claim(namespace, airflow_pods.DAGS_CLAIM, args.volumes.dags),
            self._claim(namespace, airflow_pods.LOGS_CLAIM, args.volumes.logs),
        ]

        ready: list[pulumi.Resource] = [priority, *given, *files, *git]
        migrations = job(self._place, "migrations", objects.migration_job(release=RELEASE, image=args.image), [config], ready)
        user = job(
            self._place,
            "create-user",
            objects.user_job(release=RELEASE, image=args.image, username=args.admin_user, email=args.admin_email),
            [config, password],
            [migrations],
        )
        # before whoever reports: a name that does not resolve when a program starts means no metrics until it ends
        ready += self._metrics()
        common: dict[str, Any] = {"worker_image": worker_variables, "config": config, "secrets": secrets, "git": git}
        after = [*ready, *claims, user]
        programs = {each.name: program(self._place, args, each, **common, after=after) for each in objects.CORE}
        self._rotate_fernet_key(programs.values())
        internal_service(self._place, programs["api-server"])
        self._maintenance([*files, *claims, migrations])
        web = web_service(self._place, args, programs["api-server"])

        self.web_ui_url = url(self._place, args, web)
        self.admin_user = pulumi.Output.from_input(args.admin_user)
        self.admin_password = pulumi.Output.secret(password)
        self.namespace = self._place.namespace
        self.register_outputs(
            {
                "web_ui_url": self.web_ui_url,
                "admin_user": self.admin_user,
                "admin_password": self.admin_password,
                "namespace": self.namespace,
            }
        )

    def _git_dags(self) -> list[GitDags]:
        git = self._args.git_dags
        if not git_dags_plan.is_wanted(git):
            return []
        return [GitDags(f"{self._place.name}-git", GitDagsArgs(git=git, namespace=self._place.namespace), self._place.opts)]

    def _options(self) -> AirflowOptions:
        args = self._args
        bundle = git_dags_plan.bundle(args.git_dags)
        return AirflowOptions(
            namespace=NAMESPACE,
            deployment=args.deployment,
            task_retries=args.task_retries,
            task_retry_delay_seconds=args.task_retry_delay_seconds,
            task_timeout_minutes=args.task_timeout_minutes,
            interruption_retries=args.interruption_retries,
            worker_pods_creation_batch_size=args.worker_pods_creation_batch_size,
            secure_cookies=bool(args.web_certificate_arn),
            base_url=web_ui.url_of(args.web_domain_name or "", port=args.web_port, tls=bool(args.web_certificate_arn)),
            metrics=args.metrics.enabled,
            more_bundles=(bundle,) if bundle else (),
        )

    def _worker_templates(self) -> dict[str, str]:
        args = self._args
        worker = WorkerPod(
            release=RELEASE,
            config_map=airflow_pods.CONFIG_MAP,
            dags_claim=airflow_pods.DAGS_CLAIM,
            logs_claim=airflow_pods.LOGS_CLAIM,
            cpu=args.worker_cpu,
            memory=args.worker_memory,
            grace_period_seconds=args.worker_grace_period_seconds,
            fallback=args.worker_fallback,
            more_volumes=git_dags_plan.pod_extra(args.git_dags, "worker").volumes,
        )
        pods = {POD_TEMPLATE_FILE: worker_pod(worker), ON_DEMAND_TEMPLATE_FILE: on_demand_pod(worker)}
        return {file: yaml.safe_dump(pod, sort_keys=False) for file, pod in pods.items()}

    def _claim(self, namespace: pulumi.Resource, name: str, volume: pulumi.Input[str]) -> k8s.core.v1.PersistentVolumeClaim:
        # a claim lives as long as a pod that uses it, and pods of running tasks end only with the namespace: leave it to that
        return k8s.core.v1.PersistentVolumeClaim(
            f"{self._place.name}-{name.removeprefix('airflow-')}-claim",
            metadata=self._place.metadata(name),
            spec={
                "accessModes": ["ReadWriteMany"],
                "storageClassName": self._args.volumes.storage_class,
                "volumeName": volume,
                "resources": {"requests": {"storage": "1Gi"}},
            },
            opts=pulumi.ResourceOptions.merge(self._place.opts, pulumi.ResourceOptions(deleted_with=namespace)),
        )

    def _log_archive(self) -> dict[str, Any]:
        args = self._args
        if not args.log_archive.enabled:
            return {}
        if args.kms_key_arn is None:
            raise ValueError("a log archive needs a key to encrypt it: give kms_key_arn (setting airflow.logArchive.enabled)")
        store = LogArchiveArgs(
            retention_days=args.log_archive.retention_days,
            delete_with_stack=args.log_archive.delete_with_stack,
            cluster_name=args.deployment,
            namespace=self._place.namespace,
            kms_key_arn=args.kms_key_arn,
            tags=args.tags,
        )
        archive = LogArchive(f"{self._place.name}-log-archive", store, self._place.opts)
        k8s.networking.v1.NetworkPolicy(
            f"{self._place.name}-log-archive-traffic",
            metadata=self._place.metadata("airflow-log-archive"),
            spec=log_archive.reader_traffic(RELEASE),
            opts=self._place.opts,
        )
        return log_archive.archive_config(archive.uri)

    def _rotate_fernet_key(self, programs: Iterable[pulumi.Resource]) -> None:
        key = self._args.fernet_key
        if key.generation > key.oldest_accepted:
            # when every program knows the new key: one that does not could no longer read what is encrypted with it
            job(self._place, "rotate-fernet-key", objects.rotation_job(release=RELEASE, image=self._args.image), [vars(key)], programs)

    def _metrics(self) -> list[pulumi.Resource]:
        if not self._args.metrics.enabled:
            return []
        args = AirflowMetricsArgs(namespace=self._place.namespace, release=RELEASE, image=self._args.metrics.image)
        return [AirflowMetrics(f"{self._place.name}-metrics", args, self._place.opts)]

    def _maintenance(self, after: Iterable[pulumi.Resource]) -> None:
        if not any(vars(self._args.cleanup).values()):
            return
        args = AirflowMaintenanceArgs(namespace=self._place.namespace, release=RELEASE, image=self._args.image, cleanup=self._args.cleanup)
        opts = pulumi.ResourceOptions.merge(self._place.opts, pulumi.ResourceOptions(depends_on=list(after)))
        AirflowMaintenance(f"{self._place.name}-maintenance", args, opts)
