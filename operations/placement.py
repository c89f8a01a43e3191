"""Which node, of which lifecycle, each pod is on."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from kubernetes import client

from operations.deployment import Deployment

LIFECYCLE = "lifecycle"
"""Node label of the node groups: OnDemand, Ec2Spot or OnDemandOverflow."""
WORKER_LABEL = "kubernetes_executor"
"""Label that Airflow's KubernetesExecutor puts on every worker pod."""
SPOT = "Ec2Spot"


@dataclass(frozen=True, kw_only=True)
class PlacedPod:
    """A pod and where it runs."""

    name: str
    task: str
    """Task id of a worker pod; empty for others."""
    node: str
    """Empty while the pod waits for a node."""
    lifecycle: str
    phase: str


def lifecycles(api: client.CoreV1Api) -> dict[str, str]:
    """Node name to its lifecycle label."""
    return {node.metadata.name: (node.metadata.labels or {}).get(LIFECYCLE, "?") for node in api.list_node().items}


def placed(pod: client.V1Pod, nodes: dict[str, str]) -> PlacedPod:
    """Where one pod is."""
    node = pod.spec.node_name or ""
    labels = pod.metadata.labels or {}
    task = (pod.metadata.annotations or {}).get("task_id", labels.get("task_id", "")) if WORKER_LABEL in labels else ""
    return PlacedPod(name=pod.metadata.name, task=task, node=node, lifecycle=nodes.get(node, ""), phase=pod.status.phase or "?")


@dataclass(frozen=True, kw_only=True)
class NodePods:
    """A node and the stack's pods on it; without a name: the pods that wait for one, or whose node is gone."""

    name: str
    lifecycle: str = ""
    instance_type: str = ""
    zone: str = ""
    group: str = ""
    ready: bool = False
    pods: tuple[PlacedPod, ...]


def by_node(deployment: Deployment) -> tuple[NodePods, ...]:
    """Every node with the pods of the stack's namespace on it, by lifecycle; last those without a node that exists, if there are any."""
    api = deployment.core_api()
    nodes = api.list_node().items
    lifecycle = {node.metadata.name: (node.metadata.labels or {}).get(LIFECYCLE, "?") for node in nodes}
    pods = [placed(pod, lifecycle) for pod in api.list_namespaced_pod(deployment.namespace).items]
    found = []
    for node in sorted(nodes, key=lambda node: (lifecycle[node.metadata.name], node.metadata.name)):
        labels = node.metadata.labels or {}
        ready = next((condition.status for condition in node.status.conditions or [] if condition.type == "Ready"), "Unknown")
        found.append(
            NodePods(
                name=node.metadata.name,
                lifecycle=lifecycle[node.metadata.name],
                instance_type=labels.get("node.kubernetes.io/instance-type", "?"),
                zone=labels.get("topology.kubernetes.io/zone", "?"),
                group=labels.get("eks.amazonaws.com/nodegroup", "?"),
                ready=ready == "True",
                pods=tuple(pod for pod in pods if pod.node == node.metadata.name),
            )
        )
    names = {node.name for node in found}
    waiting = tuple(pod for pod in pods if pod.node not in names)
    return (*found, NodePods(name="", pods=waiting)) if waiting else tuple(found)


def table(deployment: Deployment) -> str:
    """Nodes and the pods of the stack's namespace, by lifecycle."""
    nodes = by_node(deployment)
    width = max(len(node.lifecycle) for node in nodes) if nodes else 0
    lines = []
    for node in nodes:
        state = "Ready" if node.ready else "NotReady"
        head = f"{node.lifecycle:{width}} {node.name}  {node.instance_type}  {node.zone}  {node.group}  {state}"
        lines.append(head if node.name else "no node")
        lines += [f"            {pod.phase:10} {pod.name}" for pod in node.pods]
    return "\n".join(lines)


class WorkerWatch:
    """Remembers every worker pod that a run creates: Airflow deletes them as soon as they are done."""

    def __init__(self, deployment: Deployment) -> None:
        self._api = deployment.core_api()
        self._namespace = deployment.namespace
        self._nodes = lifecycles(self._api)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.error: Exception | None = None
        self.pods: dict[str, PlacedPod] = {}
        """Pod name to its last known place."""

    def __enter__(self) -> WorkerWatch:
        self._look()  # a cluster that does not answer is an error of the caller's, not of a thread's
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _look(self) -> None:
        for pod in self._api.list_namespaced_pod(self._namespace, label_selector=f"{WORKER_LABEL}=True").items:
            if pod.spec.node_name and pod.spec.node_name not in self._nodes:
                self._nodes = lifecycles(self._api)
            self.pods[pod.metadata.name] = placed(pod, self._nodes)

    def _follow(self) -> None:
        while not self._stop.wait(0.3):
            try:
                self._look()
                self.error = None
            except Exception as error:  # the API server may be restarted under a drill: keep what was seen, say it at the end
                self.error = error
