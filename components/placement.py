"""Proof, before anything is deployed, of where each planned pod can land. Pure.

It applies what kube-scheduler treats as hard: node selector, required affinity, taints and requests. What is merely preferred
(PreferNoSchedule, preferred affinity) keeps no pod away, because a full or an empty group overrides it; it only decides which of several
possible groups is filled first, and so whether overflow nodes come last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from components.placement_affinity import affinity_flaw, any_matches, describe, preference, required_terms, selected
from components.placement_plan import Machine, NodeGroup, Pod, Taint, planned_groups, planned_pods, requests, smallest
from components.planned import PlannedResource
from components.planned_values import known, readable_plan

Fallback = Literal["none", "on-demand"]
SELECT_CORE = "give it nodeSelector lifecycle: OnDemand and no toleration of the Spot taint"
SELECT_ON_DEMAND = "require node affinity lifecycle In [OnDemand] in its template"
SELECT_SPOT = "require node affinity lifecycle In [Ec2Spot] in its template"
PREFER_SPOT = "give its template a preferred node affinity, weight 100, lifecycle In [Ec2Spot]"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One pod against one node group."""

    pod: Pod
    group: NodeGroup
    obstacles: tuple[str, ...]
    """Why the pod can never be there; empty: it can."""

    @property
    def possible(self) -> bool:
        """Whether the scheduler may put the pod there."""
        return not self.obstacles


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Where everything can land, and what is wrong with that."""

    placements: tuple[Placement, ...]
    problems: tuple[str, ...]
    """One sentence each, naming pod, group and reason. None: the proof holds."""
    undecided: tuple[str, ...]
    """What could not be judged, and why."""


def prove(plan: Sequence[PlannedResource], machines: Mapping[str, Machine], *, fallback: Fallback = "none") -> Proof:
    """Compare every pod of a plan with every node group of it.

    Args:
        plan: the planned resources.
        machines: instance type to what it has; a type that is missing is not checked for size.
        fallback: whether workers may overflow to On-Demand groups that carry the workers' taint.
    """
    plan = readable_plan(plan)
    pods = planned_pods(plan)
    groups = planned_groups(plan)
    placements = [Placement(pod=pod, group=group, obstacles=tuple(obstacles(pod, group, machines))) for pod in pods for group in groups]
    problems = [f"{pod.name}: {flaw}" for pod in pods if (flaw := affinity_flaw(pod.spec))]
    for pod in pods:
        own = [placement for placement in placements if placement.pod is pod]
        problems += _pod_problems(pod, own, fallback)
        if pod.worker and not pod.pinned and own and fallback == "on-demand":
            problems += _overflow_problems(pod, own)
    if groups:
        problems += _core_room(pods, groups, machines)
    unsized = sorted({name for group in groups for name in group.instance_types if name not in machines})
    undecided = [f"size of instance type {name} is not known: requests were not compared with it" for name in unsized]
    if groups and pods and not any(pod.worker for pod in pods):
        undecided.append("no worker pod template among the planned ConfigMaps whose text is known: where tasks land was not judged")
    return Proof(placements=tuple(placements), problems=tuple(problems), undecided=tuple(undecided))


def obstacles(pod: Pod, group: NodeGroup, machines: Mapping[str, Machine]) -> list[str]:
    """Every hard reason that keeps a pod off a group's nodes."""
    found = []
    if group.max_size < 1:
        found.append("the group has max size 0")
    for key, value in known(pod.spec.get("nodeSelector"), Mapping, {}).items():
        if not selected(group.labels, key, value):
            found.append(f"selector {key}={value}")
    terms = required_terms(pod.spec)
    if terms is not None and not any_matches(terms, group.labels):
        found.append(f"required affinity {describe(terms)}")
    for taint in group.hard_taints:
        if not any(_tolerates(toleration, taint) for toleration in known(pod.spec.get("tolerations"), list | tuple, [])):
            found.append(f"taint {taint} not tolerated")
    if size := smallest(group, machines):
        name, (cpu, memory) = size
        wanted_cpu, wanted_memory = requests(pod.spec)
        if wanted_cpu > cpu:
            found.append(f"asks for {wanted_cpu:.0f}m CPU, {name} leaves {cpu:.0f}m")
        if wanted_memory > memory:
            found.append(f"asks for {wanted_memory:.0f} MiB, {name} leaves {memory:.0f} MiB")
    return found


def _pod_problems(pod: Pod, placements: list[Placement], fallback: Fallback) -> list[str]:
    if not placements:
        return []
    found = []
    wants_spot = pod.worker and not pod.pinned
    home = [placement for placement in placements if placement.group.spot is wants_spot]
    if not any(placement.possible for placement in (home if pod.worker else placements)):
        kind = "Spot node group" if wants_spot else "On-Demand node group" if pod.worker else "node group"
        reasons = "; ".join(
            f"{placement.group.name}: {', '.join(placement.obstacles)}" for placement in (home if pod.worker else placements)
        )
        found.append(f"{pod.name} fits no {kind} and would stay pending ({reasons or 'there is none'})")
    for placement in placements:
        group = placement.group
        if not placement.possible or group.spot is wants_spot:
            continue
        why = _why_possible(pod, group)
        if pod.pinned:
            found.append(f"{pod.name} could land on Spot group {group.name}: {why}. on_demand() promises no reclaim: {SELECT_ON_DEMAND}")
        elif not pod.worker:
            found.append(f"{pod.name} could land on Spot group {group.name}: {why}. A reclaim would stop it: {SELECT_CORE}")
        elif fallback == "none":
            found.append(f"{pod.name} could land on On-Demand group {group.name}: {why}. workers.fallback is none: {SELECT_SPOT}")
        elif not group.hard_taints:
            found.append(f"{pod.name} could land on core group {group.name}: {why}. Only a tainted overflow group may take tasks")
    if not pod.worker:
        overflow = [
            placement.group for placement in placements if placement.possible and not placement.group.spot and placement.group.hard_taints
        ]
        found += [f"{pod.name} could land on overflow group {group.name}: {_why_possible(pod, group)}. {SELECT_CORE}" for group in overflow]
    return found


def _overflow_problems(pod: Pod, placements: list[Placement]) -> list[str]:
    """The fallback works only if a task may overflow, and saves only if it does so last."""
    overflow = [placement for placement in placements if not placement.group.spot and placement.group.hard_taints]
    if not any(placement.possible for placement in overflow):
        reasons = "; ".join(f"{placement.group.name}: {', '.join(placement.obstacles)}" for placement in overflow)
        return [f"{pod.name} fits no overflow group, so workers.fallback on-demand would do nothing ({reasons or 'there is none'})"]
    spot = [placement.group for placement in placements if placement.possible and placement.group.spot]
    return [
        f"{pod.name} prefers overflow group {dear.group.name} no less than Spot group {cheap.name}, and would run there at the On-Demand "
        f"price while Spot nodes are free: {PREFER_SPOT}"
        for dear in overflow
        for cheap in spot
        if dear.possible and preference(pod.spec, cheap.labels) <= preference(pod.spec, dear.group.labels)
    ]


def _why_possible(pod: Pod, group: NodeGroup) -> str:
    pinned = bool(pod.spec.get("nodeSelector")) or required_terms(pod.spec) is not None
    labels = "its selector and required affinity match" if pinned else "it has no node selector or required affinity"
    if group.hard_taints:
        return f"{labels}, and it tolerates {', '.join(map(str, group.hard_taints))}"
    soft = [str(taint) for taint in group.taints if taint.effect == "PreferNoSchedule"]
    return f"{labels}, and " + (f"{', '.join(soft)} is only a preference" if soft else "the group has no taint")


def _core_room(pods: Sequence[Pod], groups: Sequence[NodeGroup], machines: Mapping[str, Machine]) -> list[str]:
    core = [group for group in groups if not group.spot and not group.hard_taints]
    sizes = [(size[1], group.max_size) for group in core if (size := smallest(group, machines))]
    if not sizes or len(sizes) < len(core):
        return []
    asked = [(requests(pod.spec), pod.replicas) for pod in pods if not pod.worker]
    found = []
    for index, unit in enumerate(("m CPU", " MiB")):
        offered = sum(size[index] * count for size, count in sizes)
        wanted = sum(request[index] * count for request, count in asked)
        if wanted > offered:
            names = ", ".join(group.name for group in core)
            found.append(f"the core pods together ask for {wanted:.0f}{unit}, and {names} at full size leaves {offered:.0f}{unit}")
    return found


def _tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    key = toleration.get("key") or ""
    if toleration.get("operator", "Equal") == "Exists":
        return key in ("", taint.key)
    return key == taint.key and str(toleration.get("value") or "") == taint.value


def as_data(proof: Proof) -> dict[str, Any]:
    """The proof as plain data: each pod to each node group and whether it can be there, then problems and what was not judged."""
    pods: dict[str, list[Placement]] = {}
    for place in proof.placements:
        pods.setdefault(place.pod.name, []).append(place)
    return {
        "pods": {name: _cells(places) for name, places in pods.items()},
        "problems": list(proof.problems),
        "undecided": list(proof.undecided),
    }


def table(proof: Proof) -> str:
    """The proof as text: a row a pod, a column a node group."""
    groups = list(dict.fromkeys((placement.group.name, placement.group.capacity_type) for placement in proof.placements))
    rows = [["pod", *(f"{name} ({capacity})" for name, capacity in groups)]]
    rows += [[pod, *(cells[name] for name, _ in groups)] for pod, cells in as_data(proof)["pods"].items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _cells(placements: Sequence[Placement]) -> dict[str, str]:
    wanted = {place.group.name: preference(place.pod.spec, place.group.labels) for place in placements if place.possible}
    most, ranked = max(wanted.values(), default=0), len(set(wanted.values())) > 1
    found = {}
    for place in placements:
        rank = ", preferred" if wanted.get(place.group.name) == most else ", if no other has room"
        found[place.group.name] = f"yes{rank if ranked else ''}" if place.possible else f"no: {place.obstacles[0]}"
    return found
