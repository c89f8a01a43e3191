"""What a drill reads from what it saw: events, losses and verdicts. Pure."""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from operations.drill_record import Event, Try, Verdict

Work = tuple[str, str, str, int, int]
"""Run, DAG, task, map index and number of a try."""


@dataclass(frozen=True, kw_only=True)
class SeenNode:
    """A node at one moment."""

    spot: bool
    ready: bool
    cordoned: bool
    instance: str
    """Id of its EC2 instance."""


@dataclass(frozen=True, kw_only=True)
class SeenPod:
    """A pod of the stack's namespace at one moment."""

    name: str
    node: str
    running: bool
    """Its phase is Running: not one that waits, nor a Job's that is done."""
    going: bool
    """It has been told to end."""
    work: Work | None
    """What a worker pod does; None: one of Airflow's own."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """The cluster at one moment."""

    at: float
    nodes: Mapping[str, SeenNode] = field(default_factory=dict)
    pods: Mapping[str, SeenPod] = field(default_factory=dict)
    """By uid: a name can come back."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One request to the web UI, through the load balancer."""

    at: float
    took: float
    """Seconds until the answer, or until it was clear that there is none."""
    problem: str = ""
    """Empty: answered as it should."""


def changes(before: Look, after: Look, struck: Collection[str]) -> list[Event]:
    """What happened between two looks: to nodes, and to pods on the nodes, or with the names, in `struck`."""
    found = [Event(at=after.at, what=what, who=who) for what, who in _node_changes(before, after)]
    for name in sorted({pod.node for pod in before.pods.values()} & {*struck}):
        there = [pod for pod in after.pods.values() if pod.node == name]
        told = any(pod.going for pod in there) and not any(pod.node == name and pod.going for pod in before.pods.values())
        if told and name in after.nodes and after.nodes[name].cordoned:
            found.append(Event(at=after.at, what="drain", who=f"{name}: {len(there)} pods"))
    for uid, pod in before.pods.items():
        if uid not in after.pods and (pod.node in struck or pod.name in struck):
            found.append(Event(at=after.at, what="pod gone", who=pod.name))
    return found


def _node_changes(before: Look, after: Look) -> Iterator[tuple[str, str]]:
    for name, node in after.nodes.items():
        old = before.nodes.get(name)
        if node.cordoned and old and not old.cordoned:
            yield "cordon", name
        if node.ready and not (old and old.ready):
            yield "node ready", name
        if old and old.ready and not node.ready:
            yield "node not ready", name
    yield from (("node gone", name) for name in before.nodes if name not in after.nodes)


def outages(probes: Sequence[Probe]) -> list[tuple[float, float, str]]:
    """Begin, end and first problem of each time without an answer; it ends with the first answer, or with the last probe."""
    found = []
    for failed, group in itertools.groupby(probes, key=lambda probe: bool(probe.problem)):
        run = list(group)
        if failed:
            after = next((probe.at for probe in probes if probe.at > run[-1].at and not probe.problem), run[-1].at + run[-1].took)
            found.append((run[0].at, after, run[0].problem))
    return found


def interface_events(probes: Sequence[Probe]) -> list[Event]:
    """When the web UI went and came back."""
    return [
        event
        for begin, end, problem in outages(probes)
        for event in (Event(at=begin, what="UI unavailable", who=problem), Event(at=end, what="UI back", who=f"after {end - begin:.1f} s"))
    ]


def by_instance(tries: Sequence[Try]) -> dict[tuple[str, str, int], list[Try]]:
    """The tries of each task instance, in order."""
    found: dict[tuple[str, str, int], list[Try]] = defaultdict(list)
    for item in sorted(tries, key=lambda item: item.number):
        found[item.instance].append(item)
    return found


def retry_events(tries: Sequence[Try]) -> list[Event]:
    """When each try but a first one started."""
    later = [(item.started, item) for item in tries if item.number > 1 and item.started is not None]
    return [Event(at=at, what="retry started", who=f"{item.label} on {item.node or '?'}") for at, item in later]


def recoveries(tries: Sequence[Try], events: Sequence[Event]) -> list[float]:
    """Seconds from the loss of each killed try to the start of the next one: from its machine's end, or its own if that came first."""
    machines = {event.who: event.at for event in events if event.what == "machine gone"}
    found = []
    for row in by_instance(tries).values():
        for old, new in itertools.pairwise(row):
            lost = [at for at in (machines.get(old.node), old.ended) if at is not None]
            if new.started is not None and lost:
                found.append(max(0.0, new.started - min(lost)))
    return found


def core_pods_moved(looks: Sequence[Look], struck: Collection[str]) -> int:
    """Airflow's own pods that did not stay where they were, or were ever seen on a Spot node; `struck` ones are meant to go."""
    if not looks:
        return 0
    core = [{uid: pod for uid, pod in look.pods.items() if pod.work is None and pod.running} for look in looks]
    gone = {uid for uid, pod in core[0].items() if uid not in looks[-1].pods and pod.name not in struck}
    strays = {
        uid
        for look, pods in zip(looks, core, strict=True)
        for uid, pod in pods.items()
        if pod.node in look.nodes and look.nodes[pod.node].spot
    }
    return len(gone | strays)


def tasks_lost(tries: Sequence[Try], wanted: Mapping[str, int]) -> int:
    """Task instances that did not end in success, and those that are missing from the `wanted` number of each DAG's run."""
    last = {key: row[-1] for key, row in by_instance(tries).items()}
    missing = sum(max(0, count - sum(key[0] == dag for key in last)) for dag, count in wanted.items())
    return missing + sum(item.state != "success" for item in last.values())


def verdicts(
    *,
    tries: Sequence[Try],
    wanted: Mapping[str, int],
    events: Sequence[Event],
    looks: Sequence[Look],
    probes: Sequence[Probe],
    struck: Collection[str],
    outage_seconds: float | None,
) -> list[Verdict]:
    """The figures of a drill.

    Args:
        tries: every try of every task.
        wanted: DAG to the number of task instances that its run has when it is whole.
        events: what happened.
        looks: what was seen of the cluster, from before the blow to the end.
        probes: requests to the web UI.
        struck: nodes and pods that the blow was meant for.
        outage_seconds: how long the web UI may be away; None: not for one request.
    """
    away = outages(probes)
    longest = max((end - begin for begin, end, _ in away), default=0.0)
    slowest = recoveries(tries, events)
    rows = [
        Verdict(name="tasks lost", value=tasks_lost(tries, wanted), limit=0),
        Verdict(name="logs lost", value=sum(item.started is not None and not item.log for item in tries), limit=0),
        Verdict(name="core pods moved", value=core_pods_moved(looks, struck), limit=0),
    ]
    failed = sum(bool(probe.problem) for probe in probes)
    if outage_seconds is None:
        rows.append(Verdict(name="UI errors", value=failed if probes else None, limit=0))
    else:
        rows.append(Verdict(name="UI errors (expected while it restarts)", value=failed))
        rows.append(Verdict(name="UI unavailable at a stretch, seconds", value=round(longest, 1) if probes else None, limit=outage_seconds))
    rows += [
        Verdict(name="UI requests", value=len(probes)),
        Verdict(name="UI slowest answer, seconds", value=round(max((probe.took for probe in probes if not probe.problem), default=0), 1)),
        Verdict(name="tries killed", value=sum(len(row) - 1 for row in by_instance(tries).values())),
    ]
    if slowest:
        rows.append(Verdict(name="from loss to retry, median, seconds", value=round(statistics.median(slowest), 1)))
        rows.append(Verdict(name="from loss to retry, slowest, seconds", value=round(max(slowest), 1)))
    return rows
