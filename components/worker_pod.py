"""The pod that runs one task: on Spot nodes unless its author pinned it, without a secret, ready to be taken away. Pure.

Airflow's executor reads it as a template and adds name, labels, arguments and the image that `worker_image` tells it; the container must be
called `base`. Without the image the template is known before anything is built, so a preview can prove where its pods land.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from components import pod_security
from components.airflow_config import LOGS, SHARED_DAGS
from components.airflow_pods import Volume
from components.spot_pools import LIFECYCLE_LABEL, ON_DEMAND_LIFECYCLE, OVERFLOW_LIFECYCLE, SPOT_LIFECYCLE, TAINT_KEY, TAINT_VALUE

CONTAINER = "base"
SERVICE_ACCOUNT = "airflow-worker"
IMAGE_VARIABLES = ("AIRFLOW__KUBERNETES_EXECUTOR__WORKER_CONTAINER_REPOSITORY", "AIRFLOW__KUBERNETES_EXECUTOR__WORKER_CONTAINER_TAG")
PINNED_LABEL = {"airflow-on-eks/capacity": "on-demand"}
"""Of the pods of tasks with `executor_config=on_demand()`."""


@dataclass(frozen=True, kw_only=True)
class WorkerPod:
    """What stacks choose about worker pods."""

    release: str
    config_map: str
    dags_claim: str
    logs_claim: str
    cpu: str
    memory: str
    grace_period_seconds: int
    fallback: str = "none"
    """on-demand: overflow nodes will do when no Spot node has room."""
    more_volumes: tuple[Volume, ...] = ()


def on_demand_pod(worker: WorkerPod) -> dict[str, Any]:
    """Manifest of the pod template of tasks that must not be interrupted."""
    pod = worker_pod(worker)
    pod["metadata"]["labels"] |= PINNED_LABEL
    # overflow nodes, where there are any, leave the core nodes to Airflow's own programs
    pod["spec"]["affinity"] = _only(OVERFLOW_LIFECYCLE if worker.fallback == "on-demand" else ON_DEMAND_LIFECYCLE)
    return pod


def worker_image(image: str) -> dict[str, str]:
    """Variables by which the executor gives every worker pod an image: it joins the two with a colon, which a digest has as well."""
    repository, _, tag = image.rpartition(":")
    return {IMAGE_VARIABLES[0]: repository, IMAGE_VARIABLES[1]: tag}


def worker_pod(worker: WorkerPod) -> dict[str, Any]:
    """Manifest of the pod template of every other task."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "airflow-worker",  # required; the executor replaces it
            "labels": pod_security.labels(worker.release, "worker"),
            "annotations": {
                # autoscalers do not remove the node of a running task to save money
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                "karpenter.sh/do-not-disrupt": "true",
            },
        },
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": SERVICE_ACCOUNT,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": worker.grace_period_seconds,
            "securityContext": pod_security.POD,
            "affinity": _spot_first() if worker.fallback == "on-demand" else _only(SPOT_LIFECYCLE),
            # no effect named: whichever effect the node group's taint has
            "tolerations": [
                {"key": TAINT_KEY, "operator": "Equal", "value": TAINT_VALUE},
                {"key": "dedicated", "operator": "Equal", "value": "airflow"},
            ],
            "containers": [_container(worker)],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "dags", "persistentVolumeClaim": {"claimName": worker.dags_claim}},
                {"name": "logs", "persistentVolumeClaim": {"claimName": worker.logs_claim}},
                *(volume for volume, _ in worker.more_volumes),
            ],
        },
    }


def _only(*lifecycles: str) -> dict[str, Any]:
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_lifecycle_in(*lifecycles)]}}}


def _spot_first() -> dict[str, Any]:
    """Nodes for tasks stay required: a preference alone would open the core nodes."""
    affinity = _only(SPOT_LIFECYCLE, OVERFLOW_LIFECYCLE)
    affinity["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] = [
        {"weight": 100, "preference": _lifecycle_in(SPOT_LIFECYCLE)}
    ]
    return affinity


def _lifecycle_in(*values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": LIFECYCLE_LABEL, "operator": "In", "values": list(values)}]}


def _container(worker: WorkerPod) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "envFrom": [{"configMapRef": {"name": worker.config_map}}],
        # only the supervisor gets the SIGTERM of a reclaim and decides what becomes of its task
        "env": [{"name": "DUMB_INIT_SETSID", "value": "0"}],
        "resources": {
            "requests": {"cpu": worker.cpu, "memory": worker.memory},
            # memory beyond the request would be taken from a neighbour's task; idle CPU may be used by anybody
            "limits": {"cpu": pod_security.CPU_LIMIT, "memory": worker.memory},
        },
        "securityContext": pod_security.CONTAINER,
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "dags", "mountPath": SHARED_DAGS, "readOnly": True},
            {"name": "logs", "mountPath": LOGS},
            *(mount for _, mount in worker.more_volumes),
        ],
    }
