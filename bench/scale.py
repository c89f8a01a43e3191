"""`python -m bench.scale`: how a thousand nodes take five thousand tasks, and what the pinning to Spot costs the scheduler.

Real: etcd, the API server, the scheduler, and the controllers that bind volumes and remove the pods of nodes that are gone. Nodes are the
objects of `embedded.simulation`; nothing renews them or plays their pods here, because that work would be part of what is timed.

A round has two measurements, in turns: our worker pods on tainted nodes, and the same pods without affinity and tolerations on untainted
nodes. All pods exist before the scheduler starts; the time is from the first to the last binding. The scheduler's own limit of 50 requests
a second is lifted: otherwise that limit would be measured, and not its work.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cluster import POD_SECONDS, Cluster
from components import airflow_objects, airflow_pods
from components.spot_pools import LIFECYCLE_LABEL, ON_DEMAND_LIFECYCLE, SPOT_LIFECYCLE, TAINT_KEY, TAINT_VALUE
from components.worker_pod import WorkerPod, worker_pod
from embedded.cloud import PROJECT
from embedded.node_config import NodeSpec

SPOT_TAINT = (TAINT_KEY, TAINT_VALUE, "NoSchedule")
ZONES = ("us-west-2a", "us-west-2b", "us-west-2c")
CORE_COPIES = 5
"""Pods of each of Airflow's own programs."""
IMAGE = "123456789012.dkr.ecr.us-west-2.amazonaws.com/airflow-eks-demo@sha256:" + "a" * 64
LIMIT = 1.10
"""Our pods may take a tenth longer to bind than the same pods without pinning."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is scheduled onto how much."""

    spot: int = 1000
    on_demand: int = 10
    pods: int = 5000
    rounds: int = 3


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was seen."""

    pinned_seconds: tuple[float, ...]
    plain_seconds: tuple[float, ...]
    astray: tuple[str, ...]
    """Worker pods that were not bound to a Spot node and core pods that were not bound to an On-Demand node, in any round."""
    unbound_after_loss: int
    """Worker pods without a living node after half of the Spot nodes vanished."""
    lost_pods: int
    recovery_seconds: float
    """From the nodes' end until every task had a node again."""

    @property
    def ratio(self) -> float:
        """Time of our pods as a part of the time of plain ones, at the median."""
        return statistics.median(self.pinned_seconds) / statistics.median(self.plain_seconds)


def nodes(size: Size) -> list[NodeSpec]:
    """Spot nodes of four vCPUs, each with room for 13 workers, and On-Demand nodes for Airflow's own pods."""

    def node(number: int, lifecycle: str) -> NodeSpec:
        spot = lifecycle == SPOT_LIFECYCLE
        return NodeSpec(
            name=f"{'spot' if spot else 'core'}-{number}",
            group="ng-spot1" if spot else "ng-on-demand",
            capacity_type="SPOT" if spot else "ON_DEMAND",
            instance_type="m5.xlarge",
            vcpu=4,
            memory_mib=16384,
            zone=ZONES[number % len(ZONES)],
            labels={LIFECYCLE_LABEL: lifecycle},
            taints=(SPOT_TAINT,) if spot else (),
            instance_id=f"i-{number:017x}",
        )

    return [node(number, SPOT_LIFECYCLE) for number in range(size.spot)] + [node(one, ON_DEMAND_LIFECYCLE) for one in range(size.on_demand)]


def worker() -> dict[str, Any]:
    """The stack's own template, with the image that Airflow's executor adds."""
    pod = worker_pod(
        WorkerPod(
            release="airflow",
            config_map=airflow_pods.CONFIG_MAP,
            dags_claim=airflow_pods.DAGS_CLAIM,
            logs_claim=airflow_pods.LOGS_CLAIM,
            cpu="250m",
            memory="1Gi",
            grace_period_seconds=100,
        )
    )
    pod["spec"]["containers"][0]["image"] = IMAGE
    return pod


def named(template: dict[str, Any], name: str) -> dict[str, Any]:
    """A pod from a template."""
    pod = copy.deepcopy(template)
    pod |= {"apiVersion": "v1", "kind": "Pod"}
    pod["metadata"] |= {"name": name}
    return pod


def workers(count: int, *, pinned: bool, attempt: int = 1) -> list[dict[str, Any]]:
    """Worker pods, ours or the same without affinity and tolerations."""
    template = worker()
    if not pinned:
        for key in ("affinity", "tolerations"):
            del template["spec"][key]
    return [named(template, f"task-{number}-{attempt}") for number in range(count)]


def core_pods() -> list[dict[str, Any]]:
    """Airflow's own programs, from the templates of their Deployments."""
    return [
        named(
            airflow_objects.deployment(
                component, release="airflow", version="3.3.2", image=IMAGE, worker_image={}, replicas=1, checksums={}
            )["template"],
            f"airflow-{component.name}-{number}",
        )
        for component in airflow_objects.CORE
        for number in range(CORE_COPIES)
    ]


def measure(home: Path, size: Size, say: Any = print, *, collector: bool = True) -> Result:
    """Bring up a control plane, schedule, take half of the Spot nodes away, schedule what was lost, and stop everything.

    Args:
        home: state folder.
        size: how much.
        say: receives a line as each stage is done.
        collector: whether to wait, for about a minute, until Kubernetes itself removes the pods of lost nodes.
    """
    specs = nodes(size)
    spot = {spec.name for spec in specs if spec.capacity_type == "SPOT"}
    seconds: dict[bool, list[float]] = {True: [], False: []}
    astray: set[str] = set()
    with Cluster(home) as cluster:
        say(f"{len(specs)} nodes ...")
        cluster.add_nodes(specs)
        for turn in range(2 * size.rounds):
            # the first of a pair changes from round to round, so that neither always meets the warmer machine
            pinned = turn % 4 in (1, 2)
            cluster.set_taints(sorted(spot), [SPOT_TAINT] if pinned else [])
            cluster.remove_pods()
            cluster.add_pods([*core_pods(), *workers(size.pods, pinned=pinned)])
            took = cluster.schedule(POD_SECONDS * size.pods)
            seconds[pinned].append(took)
            say(f"round {turn // 2 + 1}: {size.pods} {'of our worker pods' if pinned else 'plain pods'} bound in {took:.1f} s")
            if pinned:
                astray |= astray_pods(cluster.bindings(), spot)
        if not pinned:  # go on from our pods
            cluster.set_taints(sorted(spot), [SPOT_TAINT])
            cluster.remove_pods()
            cluster.add_pods([*core_pods(), *workers(size.pods, pinned=True)])
            cluster.schedule(POD_SECONDS * size.pods)
        lost, unbound, took = _lose_half(cluster, sorted(spot), size, astray, say, collector=collector)
    return Result(
        pinned_seconds=tuple(seconds[True]),
        plain_seconds=tuple(seconds[False]),
        astray=tuple(sorted(astray)),
        unbound_after_loss=unbound,
        lost_pods=lost,
        recovery_seconds=took,
    )


def astray_pods(bindings: dict[str, str], spot: set[str]) -> set[str]:
    """Tasks that are not on a Spot node, other pods that are, and pods on none."""
    return {pod for pod, node in bindings.items() if not node or (node in spot) is not pod.startswith("task-")}


def _lose_half(cluster: Cluster, spot: Sequence[str], size: Size, astray: set[str], say: Any, *, collector: bool) -> tuple[int, int, float]:
    gone = set(spot[::2])
    lost = sorted(pod for pod, node in cluster.bindings().items() if node in gone)
    say(f"{len(gone)} Spot nodes vanish with {len(lost)} pods ...")
    began = time.monotonic()
    cluster.start_scheduler()
    cluster.remove_nodes(sorted(gone))
    if not collector:
        cluster.remove_pods(lost)
    cluster.wait_until_gone(lost)  # Kubernetes removes the pods of a node that no longer exists, after 40 seconds' grace
    # as Airflow's executor does: a lost pod is never made again, the task's next try gets a pod of its own
    again = {f"task-{name.split('-')[1]}-2" for name in lost}
    cluster.add_pods([pod for pod in workers(size.pods, pinned=True, attempt=2) if pod["metadata"]["name"] in again])
    cluster.wait_until_bound(POD_SECONDS * size.pods)
    took = time.monotonic() - began
    bindings = cluster.bindings()
    living = set(spot) - gone
    astray |= astray_pods(bindings, living)
    tasks = {pod.split("-")[1] for pod, node in bindings.items() if pod.startswith("task-") and node in living}
    return len(lost), size.pods - len(tasks), took


def text(result: Result, size: Size) -> str:
    """The figures, the ratio last."""
    pinned, plain = (statistics.median(one) for one in (result.pinned_seconds, result.plain_seconds))
    return "\n".join(
        [
            f"{size.spot} Spot and {size.on_demand} On-Demand nodes, {size.pods} worker pods, {size.rounds} rounds:",
            f"  worker pods not on Spot, core pods not on On-Demand: {len(result.astray)}",
            f"  half of the Spot nodes vanished with {result.lost_pods} pods: {result.unbound_after_loss} tasks without a node "
            f"after {result.recovery_seconds:.0f} s",
            f"  time to bind, median: {pinned:.1f} s with our affinity and tolerations, {plain:.1f} s without "
            f"(rounds {_list(result.pinned_seconds)} and {_list(result.plain_seconds)})",
            f"  ratio {result.ratio:.3f}, at most {LIMIT:.2f}: {'held' if result.ratio <= LIMIT else 'NOT HELD'}",
        ]
    )


def _list(seconds: Sequence[float]) -> str:
    return ", ".join(f"{one:.1f}" for one in seconds)


def main() -> int:
    """Print the figures; exit 1 if a pod went astray, a task found no node, or the ratio is above its limit."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="scheduling at scale, with and without pinning to Spot")
    for name, default in vars(Size()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    size = Size(**vars(parser.parse_args()))
    if min(size.spot, size.on_demand, size.rounds, size.pods) < 1 or size.pods > 13 * (size.spot - (size.spot + 1) // 2):
        parser.error("give at least one of each, and no more pods than half of the Spot nodes can take (13 each)")
    result = measure(PROJECT / ".embedded-bench", size, lambda line: print(line, flush=True))
    print(text(result, size))
    return 0 if not result.astray and not result.unbound_after_loss and result.ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
