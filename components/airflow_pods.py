"""How every pod of Airflow's own is built: the image's environment, the files of the Secret, restricted contexts, core nodes. Pure.

Values that only the deployment knows (the image) are passed through unread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components import pod_security
from components.airflow_config import LOGS, POD_TEMPLATES, SECRETS, SHARED_DAGS
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

LOGS_IN_TMP = {
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": "/tmp/logs",
    "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": "/tmp/logs/dag_processor",
}
"""For what writes no task logs: its own go to the container's output."""


Volume = tuple[Manifest, Manifest]
"""A pod's volume and where its container sees it."""


@dataclass(frozen=True, kw_only=True)
class Extra:
    """What an option adds to a pod."""

    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()


# the DAG processor's log files have no reader and no end: past the limit the pod is replaced by one with an empty folder
TMP: Volume = ({"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}}, {"name": "tmp", "mountPath": "/tmp"})
DAGS_VOLUME: Volume = (
    {"name": "dags", "persistentVolumeClaim": {"claimName": DAGS_CLAIM}},
    {"name": "dags", "mountPath": SHARED_DAGS, "readOnly": True},
)
LOGS_VOLUME: Volume = ({"name": "logs", "persistentVolumeClaim": {"claimName": LOGS_CLAIM}}, {"name": "logs", "mountPath": LOGS})
# a folder, not a single file: so a new template is seen without a restart
TEMPLATES_VOLUME: Volume = (
    {"name": "pod-templates", "configMap": {"name": POD_TEMPLATE_MAP}},
    {"name": "pod-templates", "mountPath": POD_TEMPLATES, "readOnly": True},
)


def account(component: str) -> str:
    """ServiceAccount of a component; made by manifests/rbac.yaml."""
    return f"airflow-{component}"


def job(
    name: str,
    release: str,
    image: Any,
    *,
    args: Sequence[str],
    secrets: Mapping[str, str],
    environment: Mapping[str, str],
    files: Sequence[str] = (),
    volumes: Sequence[Volume] = (),
    account_of: str = "jobs",
    token: bool = False,
) -> Manifest:
    """Spec of a Job that runs one command of the image on a core node.

    Args:
        name: component that its pod is labelled as; network policies know it by that.
        release: value of the label `release`.
        image: by digest.
        args: the command.
        secrets: option, as a variable, to key of the Secret.
        environment: more variables.
        files: more keys of the Secret to have as files.
        volumes: more volumes than `/tmp` and the files of the Secret.
        account_of: component whose ServiceAccount it has.
        token: whether it talks to the Kubernetes API.
    """
    keys = [*secrets.values(), *files]
    given = [TMP, *([secret_files(keys)] if keys else []), *volumes]
    command = container(
        name,
        image,
        args=args,
        secrets=secrets,
        environment={**LOGS_IN_TMP, **environment},
        requests={"cpu": "100m", "memory": "512Mi"},
        memory_limit="1536Mi",
        mounts=[mount for _, mount in given],
    )
    spec = pod(account_of, command, volumes=[volume for volume, _ in given], token=token) | {
        "restartPolicy": "Never",
        "priorityClassName": PRIORITY_CLASS,
    }
    # no time to live: an object that removes itself is drift for whoever owns it
    return {
        "backoffLimit": 3,
        "activeDeadlineSeconds": 900,
        "template": {"metadata": {"labels": pod_security.labels(release, name)}, "spec": spec},
    }


def pod(component: str, container: Manifest, *, volumes: list[Manifest], token: bool) -> Manifest:
    """Spec of a pod with one container on a core node."""
    return {
        "serviceAccountName": account(component),
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,
        "nodeSelector": {LIFECYCLE_LABEL: ON_DEMAND_LIFECYCLE},
        "securityContext": pod_security.POD,
        "containers": [container],
        "volumes": volumes,
    }


def container(
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
    """A container of the Airflow image, configured as all of them are."""
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


def secret_files(keys: Iterable[str]) -> Volume:
    """Keys of the Secret as files of their names, for Airflow's own user only."""
    # group 0 is all that Airflow's user shares with files of a Secret; others get nothing
    items = [{"key": key, "path": key} for key in keys]
    return (
        {"name": "secrets", "secret": {"secretName": SECRET, "items": items, "defaultMode": 0o440}},
        {"name": "secrets", "mountPath": SECRETS, "readOnly": True},
    )
