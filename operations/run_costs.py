"""What the DAG runs of a deployment cost, from what Airflow and Kubernetes still know of their pods.

Airflow deletes a worker pod as soon as its task is done, so the pod of a finished try is put together from the try itself (Airflow's API:
when it ran, and its pod's name), the event that says when and where the pod was placed (Kubernetes keeps events for an hour), and the pod
template (what it asked for). What had to be taken for granted is counted and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import yaml
from kubernetes import client
from kubernetes.utils.quantity import parse_quantity

from components.airflow_config import POD_TEMPLATE_FILE
from components.airflow_pods import POD_TEMPLATE_MAP
from components.cost_prices import Prices, dated_prices
from components.spot_pools import LIFECYCLE_LABEL, SPOT_LIFECYCLE
from operations import cost_attribution
from operations.airflow_api import AirflowApi
from operations.cost_attribution import GIB, PodRecord, record
from operations.deployment import Deployment, OperationError
from operations.placement import WORKER_LABEL

REGION_LABEL = "topology.kubernetes.io/region"
TYPE_LABEL = "node.kubernetes.io/instance-type"
NO_OVERRIDE = ("{}", "None", "")
"""How Airflow writes an `executor_config` that changes nothing."""


@dataclass(frozen=True, kw_only=True)
class Placing:
    """Where and when Kubernetes placed a pod."""

    node: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What Kubernetes knows now."""

    nodes: Mapping[str, Any]
    """Name to node, as the Kubernetes client gives them."""
    placings: Mapping[str, Placing]
    """Pod name to its placing, for pods of the last hour."""
    pods: Sequence[Any]
    """Worker pods that still exist."""
    cpu: Decimal
    """Cores that a pod of the template asks for."""
    memory_gib: Decimal

    @property
    def spot_nodes(self) -> list[Any]:
        """Nodes that tasks run on unless they say otherwise."""
        return [node for node in self.nodes.values() if (node.metadata.labels or {}).get(LIFECYCLE_LABEL) == SPOT_LIFECYCLE]


def report(deployment: Deployment, runs: int) -> str:
    """A table of the latest runs.

    Raises:
        OperationError: there is no node, or Airflow does not answer.
    """
    cluster = look(deployment)
    regions = {str(node.metadata.labels[REGION_LABEL]) for node in cluster.nodes.values() if REGION_LABEL in (node.metadata.labels or {})}
    if len(regions) != 1:
        raise OperationError("the cluster has no node, so nobody can say where tasks run; look at 'make nodes'")
    prices = dated_prices(regions.pop())
    pods = records(tries(AirflowApi(deployment), runs), cluster, prices, datetime.now(UTC))
    return cost_attribution.table(cost_attribution.run_costs(pods, prices), prices)


def look(deployment: Deployment) -> Cluster:
    """Ask Kubernetes.

    Raises:
        OperationError: there is no pod template of this stack's.
    """
    api = deployment.core_api()
    events = api.list_namespaced_event(deployment.namespace, field_selector="reason=Scheduled,involvedObject.kind=Pod").items
    try:
        template = yaml.safe_load(api.read_namespaced_config_map(POD_TEMPLATE_MAP, deployment.namespace).data[POD_TEMPLATE_FILE])
    except client.ApiException as error:
        raise OperationError(f"cannot read the pod template {POD_TEMPLATE_MAP} of tasks: {error.reason}") from None
    asked = [container.get("resources", {}).get("requests", {}) for container in template["spec"]["containers"]]
    return Cluster(
        nodes={node.metadata.name: node for node in api.list_node().items},
        placings=placings(events),
        pods=api.list_namespaced_pod(deployment.namespace, label_selector=f"{WORKER_LABEL}=True").items,
        cpu=sum((parse_quantity(one.get("cpu", 0)) for one in asked), Decimal(0)),
        memory_gib=sum((parse_quantity(one.get("memory", 0)) for one in asked), Decimal(0)) / GIB,
    )


def placings(events: Iterable[Any]) -> dict[str, Placing]:
    """Pod name to its placing, from the scheduler's events: `Successfully assigned NAMESPACE/POD to NODE`."""
    found = {}
    for event in events:
        at = event.event_time or event.first_timestamp or event.metadata.creation_timestamp
        found[event.involved_object.name] = Placing(node=(event.message or "").rpartition(" to ")[2], at=at)
    return found


def tries(api: AirflowApi, runs: int) -> list[dict[str, Any]]:
    """Every try of the latest runs that had a pod, earlier tries of a repeated task included."""
    found: list[dict[str, Any]] = []
    for run in api.call("GET", "/dags/~/dagRuns", params={"limit": runs, "order_by": "-run_after"})["dag_runs"]:
        for task in api.task_instances(run["dag_id"], run["dag_run_id"]):
            path = f"/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances/{task['task_id']}"
            mapped = f"/{task['map_index']}" if task["map_index"] >= 0 else ""
            found += api.call("GET", f"{path}{mapped}/tries")["task_instances"] if task["try_number"] > 1 else [task]
    return [one for one in found if one["hostname"] and one["start_date"]]


def records(tries: Iterable[Mapping[str, Any]], cluster: Cluster, prices: Prices, now: datetime) -> list[PodRecord]:
    """A record of each try's pod; pods that still exist speak for themselves."""
    present = {pod.metadata.name: pod for pod in cluster.pods}
    found = []
    for one in tries:
        pod = present.get(one["hostname"])
        node = cluster.nodes.get(pod.spec.node_name) if pod is not None else None
        known = record(pod, node, now) if pod is not None and node is not None else _finished(one, cluster, prices, now)
        found += [known] if known else []
    return found


def _finished(one: Mapping[str, Any], cluster: Cluster, prices: Prices, now: datetime) -> PodRecord | None:
    placing = cluster.placings.get(one["hostname"])
    node = cluster.nodes.get(placing.node) if placing else None
    guessed = [] if node is not None else ["node"]
    node = node or _dearest(cluster.spot_nodes, prices)
    if node is None:
        return None
    if one["executor_config"] not in NO_OVERRIDE:
        guessed.append("request")
    began = min(placing.at, _time(one["start_date"])) if placing else _time(one["start_date"])
    ended = _time(one["end_date"]) if one["end_date"] else now
    labels = node.metadata.labels or {}
    return PodRecord(
        dag_id=one["dag_id"],
        run_id=one["dag_run_id"],
        task_id=one["task_id"],
        try_number=one["try_number"],
        instance_type=labels.get(TYPE_LABEL, "?"),
        spot=labels.get(LIFECYCLE_LABEL) == SPOT_LIFECYCLE,
        cpu=cluster.cpu,
        memory_gib=cluster.memory_gib,
        node_cpu=parse_quantity(node.status.allocatable["cpu"]),
        node_memory_gib=parse_quantity(node.status.allocatable["memory"]) / GIB,
        seconds=Decimal(str(max(0.0, (ended - began).total_seconds()))),
        guessed=tuple(guessed),
    )


def _dearest(nodes: Sequence[Any], prices: Prices) -> Any | None:
    # whoever cannot say which node it was should not call it cheap; a type without a price is dearer than all
    def price(node: Any) -> Decimal:
        known = prices.spot.get((node.metadata.labels or {}).get(TYPE_LABEL, ""))
        return known.usd if known else Decimal("Infinity")

    return max(nodes, key=price, default=None)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
