"""Specs of Airflow's Kubernetes objects, as the plain dictionaries that Kubernetes' own reference describes. Pure.

Values that only the deployment knows (image, checksums) are passed through unread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components import pod_security
from components.airflow_config import API_PORT, LOGS, POD_TEMPLATES, SCHEDULER_HEALTH_PORT, SECRETS, SHARED_DAGS, TRIGGERER_LOG_PORT
from components.spot_pools import LIFECYCLE_LABEL, ON_DEMAND_LIFECYCLE

Manifest = dict[str, Any]

CONFIG_MAP = "airflow-configmap"
POD_TEMPLATE_MAP = "airflow-worker-pod"
SECRET = "airflow-secrets"
PRIORITY_CLASS = "airflow-core"
DAGS_CLAIM = "airflow-dags"
LOGS_CLAIM = "airflow-logs"

DATABASE_KEYS = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sql-alchemy-conn",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": "sql-alchemy-conn-async",
}
"""Airflow's option, as a variable, to key of the Secret: all are options that Airflow also reads from a command's output."""
FERNET_KEY = {"AIRFLOW__CORE__FERNET_KEY": "fernet-key"}
API_KEY = {"AIRFLOW__API__SECRET_KEY": "api-secret-key"}
JWT_KEY = {"AIRFLOW__API_AUTH__JWT_SECRET": "jwt-secret"}
ADMIN_PASSWORD = "admin-password"

CONNECTION_FILE = f"{SECRETS}/{DATABASE_KEYS['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN']}"

HEARTBEAT = """\
import pathlib, socket, sys
import psycopg2
uri = pathlib.Path(sys.argv[2]).read_text().replace("+psycopg2", "", 1)
host = socket.getaddrinfo(socket.gethostname(), None, 0, socket.SOCK_DGRAM, 0, socket.AI_CANONNAME)[0][3]
query = "select 1 from job where job_type = %s and hostname = %s and state = 'running' and latest_heartbeat > now() - interval '60 s'"
with psycopg2.connect(uri, connect_timeout=10) as connection, connection.cursor() as cursor:
    cursor.execute(query, (sys.argv[1], host))
    sys.exit(cursor.fetchone() is None)
"""
"""What `airflow jobs check --local` asks, for a twentieth of its 2.6 CPU seconds and 130 MB inside the container's own limits."""

CREATE_USER = """\
set -eu
# a builtin writes the password to a pipe: it stands on no command line
password=$(<"$ADMIN_PASSWORD_FILE")
password_twice() { printf '%s\\n%s\\n' "$password" "$password"; }
password_twice | airflow users create --role Admin --username "$ADMIN_USER" --email "$ADMIN_EMAIL" --firstname Airflow --lastname Admin
# the first command leaves an existing user as it is, old password and all
password_twice | airflow users reset-password --username "$ADMIN_USER"
"""

LOGS_IN_TMP = {
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": "/tmp/logs",
    "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": "/tmp/logs/dag_processor",
}
"""For what writes no task logs: its own go to the container's output."""


@dataclass(frozen=True, kw_only=True)
class CoreComponent:
    """One of Airflow's long-running programs."""

    name: str
    secrets: Mapping[str, str]
    """Only what it needs: a program that serves nobody gets no key to serve with."""
    cpu: str
    memory: str
    memory_limit: str
    probes: Manifest
    ports: Mapping[str, int] = field(default_factory=dict)
    token: bool = False
    """Whether it talks to the Kubernetes API."""
    dags: bool = False
    logs: bool = True
    templates: bool = False
    grace_seconds: int = 60
    drain_seconds: int = 0
    """Time for load balancers to stop sending before the program stops listening."""


def _probes(check: Manifest, *, seconds: int) -> Manifest:
    # five misses a minute apart outlast a database failover, which no restart would cure
    steady = {**check, "periodSeconds": seconds, "timeoutSeconds": 30, "failureThreshold": 5}
    # five minutes to start; a first `up` waits for it
    return {
        "startupProbe": {**check, "periodSeconds": 10, "timeoutSeconds": 20, "failureThreshold": 30},
        "livenessProbe": steady,
        "readinessProbe": steady,
    }


def _answers(path: str, port: str, *, seconds: int) -> Manifest:
    return _probes({"httpGet": {"path": path, "port": port}}, seconds=seconds)


def _beats(job_type: str) -> Manifest:
    return _probes({"exec": {"command": ["python", "-c", HEARTBEAT, job_type, CONNECTION_FILE]}}, seconds=60)


CORE = (
    CoreComponent(
        name="api-server",
        secrets=DATABASE_KEYS | FERNET_KEY | API_KEY | JWT_KEY,
        cpu="200m",
        memory="768Mi",
        memory_limit="2Gi",
        # not monitor/health: that asks the database, and a slow one would take every API server down
        probes=_answers("/api/v2/version", "api-server", seconds=10),
        ports={"api-server": API_PORT},
        token=True,  # reads the logs of running tasks from their pods
        grace_seconds=140,  # the 120 seconds that a request may take, and the drain
        drain_seconds=10,
    ),
    CoreComponent(
        name="scheduler",
        secrets=DATABASE_KEYS | FERNET_KEY | JWT_KEY,
        cpu="200m",
        memory="512Mi",
        memory_limit="1536Mi",
        probes=_answers("/health", "health", seconds=60),
        ports={"health": SCHEDULER_HEALTH_PORT},
        token=True,  # starts worker pods
        templates=True,
    ),
    CoreComponent(
        name="dag-processor",
        secrets=DATABASE_KEYS | FERNET_KEY,
        cpu="200m",
        memory="512Mi",
        memory_limit="1536Mi",
        probes=_beats("DagProcessorJob"),
        dags=True,
        logs=False,
    ),
    CoreComponent(
        name="triggerer",
        secrets=DATABASE_KEYS | FERNET_KEY | API_KEY,  # its log server checks requests with the API key
        cpu="100m",
        memory="512Mi",
        memory_limit="1Gi",
        probes=_beats("TriggererJob"),
        ports={"logs": TRIGGERER_LOG_PORT},
        dags=True,
    ),
)


def account(component: str) -> str:
    """ServiceAccount of a component; made by manifests/rbac.yaml."""
    return f"airflow-{component}"


def deployment(
    component: CoreComponent, *, release: str, version: str, image: Any, replicas: int, checksums: Mapping[str, Any]
) -> Manifest:
    """Spec of a component's Deployment."""
    labels = pod_security.labels(release, component.name) | {"app.kubernetes.io/version": version}
    # autoscalers may move it: a disruption budget guards it, and its volumes hold nothing to lose
    annotations = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true", **checksums}
    container = _container(
        component.name,
        image,
        args=["airflow", component.name],
        secrets=component.secrets,
        environment={} if component.logs else LOGS_IN_TMP,
        requests={"cpu": component.cpu, "memory": component.memory},
        memory_limit=component.memory_limit,
        mounts=[mount for _, mount in _volumes(component)],
    )
    container |= component.probes
    if component.ports:
        container["ports"] = [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in component.ports.items()]
    if component.drain_seconds:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": component.drain_seconds}}}
    spec = _pod(component.name, container, volumes=[volume for volume, _ in _volumes(component)], token=component.token)
    spec |= {
        "priorityClassName": PRIORITY_CLASS,
        "terminationGracePeriodSeconds": component.grace_seconds,
        "topologySpreadConstraints": [
            _spread(key, release, component.name) for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
    }
    return {
        "replicas": replicas,
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 900,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": pod_security.selector(release, component.name)},
        "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec},
    }


def disruption_budget(component: str, *, release: str) -> Manifest:
    """One pod at a time: lets a drain take a single replica and keeps all but one of several."""
    return {
        "maxUnavailable": 1,
        "selector": {"matchLabels": pod_security.selector(release, component)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",  # a pod that never became ready must not hold up a node
    }


def migration_job(*, release: str, image: Any) -> Manifest:
    """Spec of the Job that brings the database to the image's schema."""
    return _job("migrations", release, image, args=["airflow", "db", "migrate"], secrets=DATABASE_KEYS, environment={})


def user_job(*, release: str, image: Any, username: str, email: str) -> Manifest:
    """Spec of the Job that makes the first administrator, or resets their password to the stack's."""
    environment = {"ADMIN_USER": username, "ADMIN_EMAIL": email, "ADMIN_PASSWORD_FILE": f"{SECRETS}/{ADMIN_PASSWORD}"}
    args = ["bash", "-c", CREATE_USER]
    return _job("create-user", release, image, args=args, secrets=DATABASE_KEYS, files=[ADMIN_PASSWORD], environment=environment)


def _job(
    name: str,
    release: str,
    image: Any,
    *,
    args: Sequence[str],
    secrets: Mapping[str, str],
    environment: Mapping[str, str],
    files: Sequence[str] = (),
) -> Manifest:
    volumes = [_TMP, _secret_files([*secrets.values(), *files])]
    container = _container(
        name,
        image,
        args=args,
        secrets=secrets,
        environment={**LOGS_IN_TMP, **environment},
        requests={"cpu": "100m", "memory": "512Mi"},
        memory_limit="1536Mi",
        mounts=[mount for _, mount in volumes],
    )
    spec = _pod("jobs", container, volumes=[volume for volume, _ in volumes], token=False) | {
        "restartPolicy": "Never",
        "priorityClassName": PRIORITY_CLASS,
    }
    # no time to live: an object that removes itself is drift for whoever owns it
    return {
        "backoffLimit": 3,
        "activeDeadlineSeconds": 900,
        "template": {"metadata": {"labels": pod_security.labels(release, name)}, "spec": spec},
    }


def _pod(component: str, container: Manifest, *, volumes: list[Manifest], token: bool) -> Manifest:
    return {
        "serviceAccountName": account(component),
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,
        "nodeSelector": {LIFECYCLE_LABEL: ON_DEMAND_LIFECYCLE},
        "securityContext": pod_security.POD,
        "containers": [container],
        "volumes": volumes,
    }


def _container(
    name: str,
    image: Any,
    *,
    args: Sequence[str],
    secrets: Mapping[str, str],
    environment: Mapping[str, str],
    requests: Mapping[str, str],
    memory_limit: str,
    mounts: list[Manifest],
) -> Manifest:
    # as files: an environment is inherited by every child process and ends up in crash reports
    commands = {f"{variable}_CMD": f"cat {SECRETS}/{key}" for variable, key in secrets.items()}
    return {
        "name": name,
        "image": image,
        "args": list(args),
        "envFrom": [{"configMapRef": {"name": CONFIG_MAP}}],
        "env": [{"name": variable, "value": value} for variable, value in {**commands, **environment}.items()],
        "resources": {"requests": dict(requests), "limits": {"cpu": pod_security.CPU_LIMIT, "memory": memory_limit}},
        "securityContext": pod_security.CONTAINER,
        "volumeMounts": mounts,
    }


Volume = tuple[Manifest, Manifest]
"""A pod's volume and where its container sees it."""

# the DAG processor's log files have no reader and no end: past the limit the pod is replaced by one with an empty folder
_TMP: Volume = ({"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}}, {"name": "tmp", "mountPath": "/tmp"})
_DAGS: Volume = (
    {"name": "dags", "persistentVolumeClaim": {"claimName": DAGS_CLAIM}},
    {"name": "dags", "mountPath": SHARED_DAGS, "readOnly": True},
)
_LOGS: Volume = ({"name": "logs", "persistentVolumeClaim": {"claimName": LOGS_CLAIM}}, {"name": "logs", "mountPath": LOGS})
# a folder, not a single file: so a new template is seen without a restart
_TEMPLATES: Volume = (
    {"name": "pod-templates", "configMap": {"name": POD_TEMPLATE_MAP}},
    {"name": "pod-templates", "mountPath": POD_TEMPLATES, "readOnly": True},
)


def _secret_files(keys: Iterable[str]) -> Volume:
    # group 0 is all that Airflow's user shares with files of a Secret; others get nothing
    items = [{"key": key, "path": key} for key in keys]
    return (
        {"name": "secrets", "secret": {"secretName": SECRET, "items": items, "defaultMode": 0o440}},
        {"name": "secrets", "mountPath": SECRETS, "readOnly": True},
    )


def _volumes(component: CoreComponent) -> list[Volume]:
    files = _secret_files(component.secrets.values())
    wanted = ((_TMP, True), (files, True), (_DAGS, component.dags), (_LOGS, component.logs), (_TEMPLATES, component.templates))
    return [volume for volume, mounted in wanted if mounted]


def _spread(key: str, release: str, component: str) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": pod_security.selector(release, component)},
        "matchLabelKeys": ["pod-template-hash"],  # or the pods of the old version would count during a roll
    }
