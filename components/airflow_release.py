"""Apache Airflow on a Kubernetes cluster, as typed objects: every one has its own diff in a preview.

Owns the namespace and all in it, and the keys Airflow signs and encrypts with. The database, the volumes, the image and the nodes come from
outside. Order: database migration, first user, then the four programs; the web UI's load balancer last up and first down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
import pulumi_random as random
import yaml

from components import airflow_objects as objects
from components import airflow_pods, log_archive, pod_security, web_ui
from components.airflow_config import API_PORT, API_SERVICE, ON_DEMAND_TEMPLATE_FILE, POD_TEMPLATE_FILE, AirflowOptions, airflow_config
from components.airflow_database import DatabaseConnection
from components.airflow_keys import generated_keys
from components.airflow_maintenance import AirflowMaintenance, AirflowMaintenanceArgs
from components.airflow_manifests import given_manifests
from components.airflow_metrics import AirflowMetrics, AirflowMetricsArgs
from components.cost_tags import component_tags
from components.efs_storage import SharedVolumes
from components.log_archive import LogArchive, LogArchiveArgs
from components.settings import CleanupSettings, Fallback, FernetKeySettings, LogArchiveSettings, MetricsSettings, ReplicaSettings
from components.worker_pod import IMAGE_VARIABLES, WorkerPod, on_demand_pod, worker_image, worker_pod

NAMESPACE = "airflow"
RELEASE = "airflow"
"""Value of the label `release`, which Airflow's tools filter by."""
JOB_TIMEOUT = "20m"


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
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace", metadata={"name": NAMESPACE, "labels": dict(pod_security.NAMESPACE_LABELS)}, opts=self._child
        )
        self._space = namespace.metadata["name"]

        priority = k8s.scheduling.v1.PriorityClass(
            f"{name}-priority",
            metadata={"name": airflow_pods.PRIORITY_CLASS},
            value=1_000_000,
            description="Airflow's own programs: the last to be evicted from a node that runs out of room",
            opts=self._child,
        )
        given = given_manifests(name, self._space, self._child)
        password = random.RandomPassword(f"{name}-admin-password", length=20, special=False, opts=self._child).result
        # made once and kept in the state: a new signing key would void the token of every running task
        secrets = {
            "sql-alchemy-conn": args.database.sync_uri,
            "sql-alchemy-conn-async": args.database.async_uri,
            **generated_keys(name, args.fernet_key, self._child),
            objects.ADMIN_PASSWORD: password,
        }
        config: dict[str, Any] = airflow_config(self._options()) | self._log_archive()
        worker = pulumi.Output.from_input(args.image).apply(worker_image)
        self._worker_image = {variable: worker[variable] for variable in IMAGE_VARIABLES}
        files = [
            k8s.core.v1.Secret(f"{name}-secrets", metadata=self._metadata(airflow_pods.SECRET), string_data=secrets, opts=self._child),
            k8s.core.v1.ConfigMap(f"{name}-config", metadata=self._metadata(airflow_pods.CONFIG_MAP), data=config, opts=self._child),
            k8s.core.v1.ConfigMap(
                f"{name}-worker-pod",
                metadata=self._metadata(airflow_pods.POD_TEMPLATE_MAP),
                data=self._worker_templates(),
                opts=self._child,
            ),
        ]
        claims = [
            self._claim(namespace, airflow_pods.DAGS_CLAIM, args.volumes.dags),
            self._claim(namespace, airflow_pods.LOGS_CLAIM, args.volumes.logs),
        ]

        ready: list[pulumi.Resource] = [priority, *given, *files]
        migrations = self._job("migrations", objects.migration_job(release=RELEASE, image=args.image), [config], ready)
        user = self._job(
            "create-user",
            objects.user_job(release=RELEASE, image=args.image, username=args.admin_user, email=args.admin_email),
            [config, password],
            [migrations],
        )
        # before whoever reports: a name that does not resolve when a program starts means no metrics until it ends
        ready += self._metrics()
        programs = {component.name: self._program(component, config, secrets, [*ready, *claims, user]) for component in objects.CORE}
        self._rotate_fernet_key(programs.values())
        self._internal_service(programs["api-server"])
        self._maintenance([*files, *claims, migrations])
        web = self._web_service(programs["api-server"])

        self.web_ui_url = self._url(web)
        self.admin_user = pulumi.Output.from_input(args.admin_user)
        self.admin_password = pulumi.Output.secret(password)
        self.namespace = self._space
        self.register_outputs(
            {
                "web_ui_url": self.web_ui_url,
                "admin_user": self.admin_user,
                "admin_password": self.admin_password,
                "namespace": self.namespace,
            }
        )

    def _metadata(self, name: pulumi.Input[str], **more: Any) -> dict[str, Any]:
        return {"name": name, "namespace": self._space, **more}

    def _options(self) -> AirflowOptions:
        args = self._args
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
        )
        pods = {POD_TEMPLATE_FILE: worker_pod(worker), ON_DEMAND_TEMPLATE_FILE: on_demand_pod(worker)}
        return {file: yaml.safe_dump(pod, sort_keys=False) for file, pod in pods.items()}

    def _claim(self, namespace: pulumi.Resource, name: str, volume: pulumi.Input[str]) -> k8s.core.v1.PersistentVolumeClaim:
        # a claim lives as long as a pod that uses it, and pods of running tasks end only with the namespace: leave it to that
        return k8s.core.v1.PersistentVolumeClaim(
            f"{self._name}-{name.removeprefix('airflow-')}-claim",
            metadata=self._metadata(name),
            spec={
                "accessModes": ["ReadWriteMany"],
                "storageClassName": self._args.volumes.storage_class,
                "volumeName": volume,
                "resources": {"requests": {"storage": "1Gi"}},
            },
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(deleted_with=namespace)),
        )

    def _job(self, name: str, spec: dict[str, Any], facts: list[Any], after: Iterable[pulumi.Resource]) -> k8s.batch.v1.Job:
        # a Job cannot be changed: what it does is in its name, so another image or configuration is another Job
        return k8s.batch.v1.Job(
            f"{self._name}-{name}",
            metadata=self._metadata(pulumi.Output.concat(f"airflow-{name}-", _digest([spec, *facts]).apply(lambda text: text[:8]))),
            spec=spec,
            opts=pulumi.ResourceOptions.merge(
                self._child,
                pulumi.ResourceOptions(
                    depends_on=list(after), custom_timeouts=pulumi.CustomTimeouts(create=JOB_TIMEOUT, update=JOB_TIMEOUT)
                ),
            ),
        )

    def _program(
        self, component: objects.CoreComponent, config: Mapping[str, str], secrets: Mapping[str, Any], after: Iterable[pulumi.Resource]
    ) -> k8s.apps.v1.Deployment:
        # a changed key or setting restarts whoever reads it, and nobody else
        checksums = {
            "checksum/config": _digest(config),
            "checksum/secrets": _digest({key: secrets[key] for key in component.secrets.values()}),
        }
        deployment = k8s.apps.v1.Deployment(
            f"{self._name}-{component.name}",
            metadata=self._metadata(f"airflow-{component.name}", labels=pod_security.labels(RELEASE, component.name)),
            spec=objects.deployment(
                component,
                release=RELEASE,
                version=self._args.version,
                image=self._args.image,
                worker_image=self._worker_image,
                replicas=getattr(self._args.replicas, component.name.replace("-", "_")),
                checksums=checksums,
            ),
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=list(after))),
        )
        k8s.policy.v1.PodDisruptionBudget(
            f"{self._name}-{component.name}-budget",
            metadata=self._metadata(f"airflow-{component.name}"),
            spec=objects.disruption_budget(component.name, release=RELEASE),
            opts=self._child,
        )
        return deployment

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
            namespace=self._space,
            kms_key_arn=args.kms_key_arn,
            tags=args.tags,
        )
        archive = LogArchive(f"{self._name}-log-archive", store, self._child)
        k8s.networking.v1.NetworkPolicy(
            f"{self._name}-log-archive-traffic",
            metadata=self._metadata("airflow-log-archive"),
            spec=log_archive.reader_traffic(RELEASE),
            opts=self._child,
        )
        return log_archive.archive_config(archive.uri)

    def _rotate_fernet_key(self, programs: Iterable[pulumi.Resource]) -> None:
        key = self._args.fernet_key
        if key.generation > key.oldest_accepted:
            # when every program knows the new key: one that does not could no longer read what is encrypted with it
            self._job("rotate-fernet-key", objects.rotation_job(release=RELEASE, image=self._args.image), [vars(key)], programs)

    def _metrics(self) -> list[pulumi.Resource]:
        if not self._args.metrics.enabled:
            return []
        args = AirflowMetricsArgs(namespace=self._space, release=RELEASE, image=self._args.metrics.image)
        return [AirflowMetrics(f"{self._name}-metrics", args, self._child)]

    def _maintenance(self, after: Iterable[pulumi.Resource]) -> None:
        if not any(vars(self._args.cleanup).values()):
            return
        args = AirflowMaintenanceArgs(namespace=self._space, release=RELEASE, image=self._args.image, cleanup=self._args.cleanup)
        opts = pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=list(after)))
        AirflowMaintenance(f"{self._name}-maintenance", args, opts)

    def _internal_service(self, server: pulumi.Resource) -> None:
        # after its pods: a Service is awaited until it has some, and at first they wait for the database for longer than that
        k8s.core.v1.Service(
            f"{self._name}-internal",
            metadata=self._metadata(API_SERVICE),
            spec={
                "type": "ClusterIP",
                "selector": pod_security.selector(RELEASE, web_ui.COMPONENT),
                "ports": [{"name": "api-server", "port": API_PORT, "targetPort": "api-server", "protocol": "TCP"}],
            },
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[server])),
        )

    def _web_service(self, server: pulumi.Resource) -> k8s.core.v1.Service:
        args = self._args
        annotations = web_ui.service_annotations(
            allowed_cidrs=args.web_allowed_cidrs, certificate_arn=args.web_certificate_arn, tags=component_tags(args.tags, "web")
        )
        return k8s.core.v1.Service(
            f"{self._name}-web",
            metadata=self._metadata(web_ui.SERVICE, annotations=annotations),
            spec=web_ui.service(release=RELEASE, port=args.web_port, allowed_cidrs=args.web_allowed_cidrs),
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[server])),
        )

    def _url(self, web: k8s.core.v1.Service) -> pulumi.Output[str]:
        args = self._args
        ingress = web.status.apply(_ingress)
        if args.web_domain_name is None:
            return ingress.apply(lambda known: web_ui.url(known, port=args.web_port, tls=bool(args.web_certificate_arn)))
        record: list[pulumi.Resource] = []
        if args.web_hosted_zone_id is not None:
            target = ingress.apply(web_ui.record)
            record = [
                aws.route53.Record(
                    f"{self._name}-web-name",
                    zone_id=args.web_hosted_zone_id,
                    name=args.web_domain_name,
                    type=target.apply(lambda known: known[0]),
                    records=[target.apply(lambda known: known[1])],
                    ttl=60,  # seconds: as long as a new load balancer may be missed
                    opts=self._child,
                )
            ]
        known = web_ui.url_of(args.web_domain_name, port=args.web_port, tls=bool(args.web_certificate_arn))
        return pulumi.Output.all(web.urn, *(made.urn for made in record)).apply(lambda _: known)  # not before it leads anywhere


def _digest(values: Any) -> pulumi.Output[str]:
    def digest(known: Any) -> str:
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

    # a hash of long random values tells nothing about them, and as a secret it would hide the whole pod from the diff
    return pulumi.Output.unsecret(pulumi.Output.from_input(values).apply(digest))


def _ingress(status: Any) -> Any:
    return status.load_balancer.ingress if status and status.load_balancer else None
