"""The Kubernetes side of putting a stack to sleep: no new pods, no running ones, and an autoscaler that keeps still."""

from __future__ import annotations

from collections.abc import Callable

import kubernetes
import requests
from kubernetes.client import CoreV1Api

from operations.airflow_api import AirflowApi
from operations.deployment import Deployment, OperationError
from operations.placement import WORKER_LABEL

SYSTEM = "kube-system"
AUTOSCALER = "cluster-autoscaler"
REPLICAS_NOTE = "airflow-on-eks/awake-replicas"
"""On the autoscaler's Deployment: how many replicas it had. Helm, which made it, forgives the change; nothing else is scaled."""
NAMES_SHOWN = 5


def occupied(pod: kubernetes.client.V1Pod) -> bool:
    """Whether a pod has a node and is not done."""
    return bool(pod.spec.node_name) and pod.status.phase not in ("Succeeded", "Failed")


def running_pods(api: CoreV1Api, namespace: str, *, tasks: bool) -> list[str]:
    """Names of the pods that run or are about to: those of tasks, or all others."""
    selector = f"{WORKER_LABEL}=True" if tasks else f"{WORKER_LABEL}!=True"
    return sorted(pod.metadata.name for pod in api.list_namespaced_pod(namespace, label_selector=selector).items if occupied(pod))


def close_the_door(api: CoreV1Api, deployment: Deployment, *, force: bool, say: Callable[[str], None]) -> None:
    """Cordon every node, so that no task begins any more; then refuse if one runs.

    Raises:
        OperationError: naming the tasks' pods; the nodes are open again.
    """
    closed = [node.metadata.name for node in api.list_node().items if not node.spec.unschedulable]
    _cordon(api, closed, closed=True)
    tasks = running_pods(api, deployment.namespace, tasks=True)
    if tasks and not force:
        _cordon(api, closed, closed=False)
        more = f" and {len(tasks) - NAMES_SHOWN} more" if len(tasks) > NAMES_SHOWN else ""
        raise OperationError(
            f"{len(tasks)} task(s) run: {', '.join(tasks[:NAMES_SHOWN])}{more}. Wait for them, "
            "or repeat with FORCE=1: they are then stopped, and tried again when the stack is awake"
        )
    say(f"  {len(closed)} nodes take no more pods; {len(tasks)} tasks run")


def open_the_door(api: CoreV1Api) -> None:
    """Let every node take pods again: those of a sleep that was broken off are still cordoned."""
    _cordon(api, [node.metadata.name for node in api.list_node().items if node.spec.unschedulable], closed=False)


def _cordon(api: CoreV1Api, nodes: list[str], *, closed: bool) -> None:
    for node in nodes:
        api.patch_node(node, {"spec": {"unschedulable": closed or None}})


def end_pods(api: CoreV1Api, namespace: str, *, tasks: bool) -> None:
    """Ask pods to end, each within its grace period; what owns them makes new ones, which wait for a node."""
    for name in running_pods(api, namespace, tasks=tasks):
        try:
            api.delete_namespaced_pod(name, namespace)
        except kubernetes.client.ApiException as error:
            if error.status != 404:  # gone by itself
                raise


def scale_autoscaler(deployment: Deployment, *, awake: bool) -> None:
    """Switch the autoscaler off before nodes go, since it would bring them back; and on again. A stack may have none."""
    apps = deployment.apps_api()
    try:
        found = apps.read_namespaced_deployment(AUTOSCALER, SYSTEM)
    except kubernetes.client.ApiException as error:
        if error.status == 404:
            return
        raise
    noted = (found.metadata.annotations or {}).get(REPLICAS_NOTE)
    replicas = int(noted or 1) if awake else 0
    note = None if awake else noted or str(found.spec.replicas)
    if awake and noted is None:
        return
    apps.patch_namespaced_deployment(
        AUTOSCALER, SYSTEM, {"metadata": {"annotations": {REPLICAS_NOTE: note}}, "spec": {"replicas": replicas}}
    )


def nodes_left(api: CoreV1Api) -> str | None:
    """How many nodes there still are; None: none."""
    count = len(api.list_node().items)
    return f"{count} still there" if count else None


def not_available(deployment: Deployment) -> str | None:
    """Which of the stack's programs do not run yet; None: all do."""
    found = deployment.apps_api().list_namespaced_deployment(deployment.namespace).items
    missing = sorted(item.metadata.name for item in found if (item.status.available_replicas or 0) < (item.spec.replicas or 0))
    return f"{', '.join(missing)} not ready" if missing else None


def no_answer(deployment: Deployment) -> str | None:
    """Why nobody can log in yet; None: one can."""
    try:
        AirflowApi(deployment)
    except (OperationError, requests.RequestException) as error:
        return "refuses the log-in" if isinstance(error, OperationError) else "no answer yet"
    return None
