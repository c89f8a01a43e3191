"""Specs of Airflow's Kubernetes objects, as the plain dictionaries that Kubernetes' own reference describes. Pure.

Values that only the deployment knows (image, checksums) are passed through unread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components import airflow_pods as pods
from components import pod_security
from components.airflow_config import API_PORT, SCHEDULER_HEALTH_PORT, SECRETS, TRIGGERER_LOG_PORT
from components.airflow_pods import DATABASE_KEYS, FERNET_KEY, Manifest, Volume

API_KEY = {"AIRFLOW__API__SECRET_KEY": "api-secret-key"}
JWT_KEY = {"AIRFLOW__API_AUTH__JWT_SECRET": "jwt-secret"}
ADMIN_PASSWORD = "admin-password"
NOTHING = pods.Extra()

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


def deployment(
    component: CoreComponent,
    *,
    release: str,
    version: str,
    image: Any,
    worker_image: Mapping[str, Any],
    replicas: int,
    checksums: Mapping[str, Any],
    extra: pods.Extra = NOTHING,
) -> Manifest:
    """Spec of a component's Deployment; `worker_image` are the variables for the component that makes worker pods."""
    volumes = _volumes(component, extra)
    labels = pod_security.labels(release, component.name) | {"app.kubernetes.io/version": version}
    # autoscalers may move it: a disruption budget guards it, and its volumes hold nothing to lose
    annotations = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true", **checksums}
    container = pods.container(
        component.name,
        image,
        args=["airflow", component.name],
        secrets=component.secrets,
        environment={**({} if component.logs else pods.LOGS_IN_TMP), **(worker_image if component.templates else {}), **extra.environment},
        requests={"cpu": component.cpu, "memory": component.memory},
        memory_limit=component.memory_limit,
        mounts=[mount for _, mount in volumes],
    )
    container |= component.probes
    if component.ports:
        container["ports"] = [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in component.ports.items()]
    if component.drain_seconds:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": component.drain_seconds}}}
    spec = pods.pod(component.name, container, volumes=[volume for volume, _ in volumes], token=component.token)
    spec |= {
        "priorityClassName": pods.PRIORITY_CLASS,
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
    return pods.job("migrations", release, image, args=["airflow", "db", "migrate"], secrets=DATABASE_KEYS, environment={})


def user_job(*, release: str, image: Any, username: str, email: str) -> Manifest:
    """Spec of the Job that makes the first administrator, or resets their password to the stack's."""
    environment = {"ADMIN_USER": username, "ADMIN_EMAIL": email, "ADMIN_PASSWORD_FILE": f"{SECRETS}/{ADMIN_PASSWORD}"}
    args = ["bash", "-c", CREATE_USER]
    return pods.job("create-user", release, image, args=args, secrets=DATABASE_KEYS, files=[ADMIN_PASSWORD], environment=environment)


def rotation_job(*, release: str, image: Any) -> Manifest:
    """Spec of the Job that encrypts connections and variables anew, with the newest key."""
    return pods.job(
        "rotate-fernet-key", release, image, args=["airflow", "rotate-fernet-key"], secrets=DATABASE_KEYS | FERNET_KEY, environment={}
    )


def _volumes(component: CoreComponent, extra: pods.Extra) -> list[Volume]:
    files = pods.secret_files(component.secrets.values())
    wanted = (
        (pods.TMP, True),
        (files, True),
        (pods.DAGS_VOLUME, component.dags),
        (pods.LOGS_VOLUME, component.logs),
        (pods.TEMPLATES_VOLUME, component.templates),
    )
    return [*(volume for volume, mounted in wanted if mounted), *extra.volumes]


def _spread(key: str, release: str, component: str) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": pod_security.selector(release, component)},
        "matchLabelKeys": ["pod-template-hash"],  # or the pods of the old version would count during a roll
    }
