"""What a DAG run cost: the seconds of its pods, as their share of a node's price. Pure.

A pod's share is what it asks for, by CPU or by memory, whichever is more: what it keeps others from using. What nobody asked for stays with
the stack: the sum over all runs is less than the bill for the nodes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from components.cost_prices import CURRENCY, Prices
from components.spot_pools import LIFECYCLE_LABEL, SPOT_LIFECYCLE

SECONDS_PER_HOUR = Decimal(3600)
GIB = Decimal(2**30)
PLACES = Decimal("0.000001")
"""Tasks cost thousandths of a cent."""

GUESSES = {
    "node": "taken as the dearest Spot node that there is now",
    "request": "taken as the pod template's: the task has an executor_config",
}


@dataclass(frozen=True, kw_only=True)
class PodRecord:
    """One worker pod that ran, or runs."""

    dag_id: str
    run_id: str
    task_id: str
    try_number: int
    instance_type: str
    """Of its node."""
    spot: bool
    cpu: Decimal
    """Cores it asks for."""
    memory_gib: Decimal
    node_cpu: Decimal
    """Cores its node has for pods."""
    node_memory_gib: Decimal
    seconds: Decimal
    """From its placement on the node to its end, or until now."""
    guessed: tuple[str, ...] = ()
    """What of it nobody knows any more: its node, or its request."""

    @property
    def share(self) -> Decimal:
        """Of the node.

        Raises:
            ValueError: the figures cannot be.
        """
        if min(self.node_cpu, self.node_memory_gib) <= 0 or min(self.cpu, self.memory_gib, self.seconds) < 0:
            raise ValueError(f"pod of {self.dag_id}.{self.task_id}: a node without CPU or memory, or a negative figure")
        return min(Decimal(1), max(self.cpu / self.node_cpu, self.memory_gib / self.node_memory_gib))


@dataclass(frozen=True, kw_only=True)
class RunCost:
    """What the pods of one DAG run cost."""

    dag_id: str
    run_id: str
    pods: int
    retries: int
    """Pods of second and later tries: repeated work, by Spot interruptions too."""
    seconds: Decimal
    usd: Decimal
    """The known part, at the price each pod ran at."""
    on_demand_usd: Decimal
    """The same pods on On-Demand nodes."""
    unknown: tuple[str, ...]
    """Instance types without a price: then both sums are at least so much."""
    guessed: Mapping[str, int]
    """Of how many pods the node, or the request, had to be taken for granted."""

    @property
    def saving_percent(self) -> Decimal | None:
        """What Spot saved; None if nothing is known."""
        if not self.on_demand_usd:
            return None
        return ((1 - self.usd / self.on_demand_usd) * 100).quantize(Decimal(1), ROUND_HALF_UP)


def record(pod: Any, node: Any, until: datetime) -> PodRecord | None:
    """The record of a worker pod and its node, as the Kubernetes client gives them; None if the pod never ran.

    A pod that still runs is counted until `until`.
    """
    if pod.status.start_time is None:
        return None
    ended = [
        status.state.terminated.finished_at
        for status in pod.status.container_statuses or []
        if status.state and status.state.terminated and status.state.terminated.finished_at
    ]
    requests = [container.resources.requests or {} for container in pod.spec.containers if container.resources]
    known = {**(pod.metadata.labels or {}), **(pod.metadata.annotations or {})}  # labels are shortened, annotations are not
    labels = node.metadata.labels or {}
    return PodRecord(
        dag_id=known.get("dag_id", "?"),
        run_id=known.get("run_id", "?"),
        task_id=known.get("task_id", "?"),
        try_number=int(known.get("try_number", 1)),
        instance_type=labels.get("node.kubernetes.io/instance-type", "?"),
        spot=labels.get(LIFECYCLE_LABEL) == SPOT_LIFECYCLE,
        cpu=sum((parse_quantity(one.get("cpu", 0)) for one in requests), Decimal(0)),
        memory_gib=sum((parse_quantity(one.get("memory", 0)) for one in requests), Decimal(0)) / GIB,
        node_cpu=parse_quantity(node.status.allocatable["cpu"]),
        node_memory_gib=parse_quantity(node.status.allocatable["memory"]) / GIB,
        seconds=Decimal(str(max(0.0, (max(ended, default=until) - pod.status.start_time).total_seconds()))),
    )


def pod_cost(pod: PodRecord, prices: Prices) -> tuple[Decimal, Decimal] | None:
    """As it ran, and On-Demand; None if a price is unknown."""
    on_demand = prices.on_demand.get(pod.instance_type)
    paid = prices.spot.get(pod.instance_type) if pod.spot else on_demand
    if on_demand is None or paid is None:
        return None
    used = pod.share * pod.seconds / SECONDS_PER_HOUR
    return paid.usd * used, on_demand.usd * used


def run_costs(pods: Iterable[PodRecord], prices: Prices) -> list[RunCost]:
    """What each DAG run cost, the dearest first."""
    by_run: dict[tuple[str, str], list[PodRecord]] = defaultdict(list)
    for pod in pods:
        by_run[pod.dag_id, pod.run_id].append(pod)
    runs = [_run_cost(dag_id, run_id, ran, prices) for (dag_id, run_id), ran in by_run.items()]
    return sorted(runs, key=lambda run: (-run.usd, run.dag_id, run.run_id))


def table(runs: Sequence[RunCost], prices: Prices) -> str:
    """The runs as a person reads them, at the prices of a region."""
    head = f"{'DAG run':52}{'pods':>6}{'retries':>9}{'pod seconds':>13}{CURRENCY:>13}{'On-Demand':>13}{'saving':>8}"
    lines = [f"What each DAG run cost in {prices.region}, {CURRENCY}; prices: {prices.origin}", head]
    for run in runs:
        name = f"{run.dag_id} {run.run_id}"
        name = name if len(name) < 52 else f"{name[:50]}…"
        saving = "" if run.saving_percent is None else f"{run.saving_percent}%"
        figures = "".join(f"{_amount(usd, run):>13}" for usd in (run.usd, run.on_demand_usd))
        lines.append(f"{name:52}{run.pods:>6}{run.retries:>9}{run.seconds:>13.0f}{figures}{saving:>8}".rstrip())
    if unknown := sorted({name for run in runs for name in run.unknown}):
        lines.append(f"No price known for {', '.join(unknown)} in {prices.region}: those pods are not in the sums")
    for what, taken in GUESSES.items():
        if guessed := sum(run.guessed.get(what, 0) for run in runs):
            lines.append(f"Estimated: the {what} of {guessed} pod(s) is no longer known, {taken}")
    lines.append("Idle capacity, disks, database and control plane are the stack's, not a run's")
    return "\n".join(lines)


def _run_cost(dag_id: str, run_id: str, pods: Sequence[PodRecord], prices: Prices) -> RunCost:
    costs = [(pod, pod_cost(pod, prices)) for pod in pods]
    known = [cost for _, cost in costs if cost is not None]
    return RunCost(
        dag_id=dag_id,
        run_id=run_id,
        pods=len(pods),
        retries=sum(pod.try_number > 1 for pod in pods),
        seconds=sum((pod.seconds for pod in pods), Decimal(0)),
        usd=sum((usd for usd, _ in known), Decimal(0)),
        on_demand_usd=sum((usd for _, usd in known), Decimal(0)),
        unknown=tuple(sorted({pod.instance_type for pod, cost in costs if cost is None})),
        guessed=Counter(what for pod in pods for what in pod.guessed),
    )


def _amount(usd: Decimal, run: RunCost) -> str:
    if run.unknown and not usd:
        return "unknown"
    return f"{'>=' if run.unknown else ''}{usd.quantize(PLACES, ROUND_HALF_UP):f}"
