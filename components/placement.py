"""Proof, before anything is deployed, of where each planned pod can land. Pure.

It applies what kube-scheduler treats as hard: node selector, required affinity, taints and requests. What is merely preferred
(PreferNoSchedule, preferred affinity) proves nothing, because a full or an empty group overrides it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from components.placement_plan import Machine, NodeGroup, Pod, Taint, planned_groups, planned_pods, requests, smallest
from components.planned import PlannedResource
from components.planned_values import known, readable_plan

Fallback = Literal["none", "on-demand"]
SELECT_CORE = "give it nodeSelector lifecycle: OnDemand and no toleration of the Spot taint"
SELECT_ON_DEMAND = "require node affinity lifecycle In [OnDemand] in its template"
SELECT_SPOT = "require node affinity lifecycle In [Ec2Spot] in its template"


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


def prove(
    plan: Sequence[PlannedResource], machines: Mapping[str, Machine], *, fallback: Fallback = "none", more_pods: Iterable[Pod] = ()
) -> Proof:
    """Compare every pod of a plan with every node group of it.

    Args:
        plan: the planned resources.
        machines: instance type to what it has; a type that is missing is not checked for size.
        fallback: whether workers may overflow to On-Demand groups that carry the workers' taint.
        more_pods: pods that the plan does not show, such as a worker template whose text is not known before deployment.
    """
    plan = readable_plan(plan)
    pods = [*planned_pods(plan), *more_pods]
    groups = planned_groups(plan)
    placements = [Placement(pod=pod, group=group, obstacles=tuple(obstacles(pod, group, machines))) for pod in pods for group in groups]
    problems = [f"{pod.name}: {flaw}" for pod in pods if (flaw := affinity_flaw(pod.spec))]
    for pod in pods:
        problems += _pod_problems(pod, [placement for placement in placements if placement.pod is pod], fallback)
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
        if not _matches(group.labels, key, "In", [value]):
            found.append(f"selector {key}={value}")
    terms = _required_terms(pod.spec)
    if terms is not None and not any(_term_matches(term, group.labels) for term in terms):
        found.append(f"required affinity {_describe(terms)}")
    for taint in group.hard_taints:
        if not any(_tolerates(toleration, taint) for toleration in known(pod.spec.get("tolerations"), list | tuple, [])):
            found.append(f"taint {taint} not tolerated")
    if size := smallest(group.instance_types, machines):
        name, (cpu, memory) = size
        wanted_cpu, wanted_memory = requests(pod.spec)
        if wanted_cpu > cpu:
            found.append(f"asks for {wanted_cpu:.0f}m CPU, {name} leaves {cpu:.0f}m")
        if wanted_memory > memory:
            found.append(f"asks for {wanted_memory:.0f} MiB, {name} leaves {memory:.0f} MiB")
    return found


def affinity_flaw(spec: Mapping[str, Any]) -> str | None:
    """Why a pod's required node affinity is not one: such a pod is refused, or pinned to nothing where unknown fields are dropped."""
    required = _required(spec)
    if required is None:
        return None
    if not isinstance(required, Mapping):
        return "required node affinity must be an object with nodeSelectorTerms, not a list: that shape belongs to preferred affinity"
    if strays := sorted(set(required) - {"nodeSelectorTerms"}):
        return f"required node affinity has {', '.join(strays)}, which belong to preferred affinity; give nodeSelectorTerms"
    terms = required.get("nodeSelectorTerms")
    if not isinstance(terms, list | tuple) or not terms or not all(isinstance(term, Mapping) and any(term.values()) for term in terms):
        return "required node affinity needs nodeSelectorTerms with at least one expression each"
    return None


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


def _why_possible(pod: Pod, group: NodeGroup) -> str:
    pinned = bool(pod.spec.get("nodeSelector")) or _required_terms(pod.spec) is not None
    labels = "its selector and required affinity match" if pinned else "it has no node selector or required affinity"
    if group.hard_taints:
        return f"{labels}, and it tolerates {', '.join(map(str, group.hard_taints))}"
    soft = [str(taint) for taint in group.taints if taint.effect == "PreferNoSchedule"]
    return f"{labels}, and " + (f"{', '.join(soft)} is only a preference" if soft else "the group has no taint")


def _core_room(pods: Sequence[Pod], groups: Sequence[NodeGroup], machines: Mapping[str, Machine]) -> list[str]:
    core = [group for group in groups if not group.spot and not group.hard_taints]
    sizes = [(size[1], group.max_size) for group in core if (size := smallest(group.instance_types, machines))]
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


def _required(spec: Mapping[str, Any]) -> Any:
    node = known(known(spec.get("affinity"), Mapping, {}).get("nodeAffinity"), Mapping, {})
    return node.get("requiredDuringSchedulingIgnoredDuringExecution")


def _required_terms(spec: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    required = _required(spec)
    terms = required.get("nodeSelectorTerms") if isinstance(required, Mapping) else None
    return [term for term in terms if isinstance(term, Mapping)] if isinstance(terms, list | tuple) and terms else None


def _term_matches(term: Mapping[str, Any], labels: Mapping[str, str | None]) -> bool:
    expressions = known(term.get("matchExpressions"), list | tuple, [])
    return bool(expressions or term.get("matchFields")) and all(
        _matches(labels, expression.get("key"), expression.get("operator"), expression.get("values") or []) for expression in expressions
    )


def _matches(labels: Mapping[str, str | None], key: str, operator: str, values: Sequence[Any]) -> bool:
    if operator in ("DoesNotExist", "Exists"):
        return (key in labels) is (operator == "Exists")
    if key not in labels:
        return operator == "NotIn"
    value = labels[key]
    if value is None:  # differs from node to node, so some node may match
        return True
    if operator in ("Gt", "Lt"):
        pair = (value, str(values[0])) if values else ("", "")
        numeric = all(part.lstrip("-").isdigit() for part in pair)
        return numeric and ((int(pair[0]) > int(pair[1])) if operator == "Gt" else (int(pair[0]) < int(pair[1])))
    return (value in [str(item) for item in values]) is (operator == "In")


def _tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    key = toleration.get("key") or ""
    if toleration.get("operator", "Equal") == "Exists":
        return key in ("", taint.key)
    return key == taint.key and str(toleration.get("value") or "") == taint.value


def _describe(terms: Sequence[Mapping[str, Any]]) -> str:
    def text(expression: Mapping[str, Any]) -> str:
        values = ",".join(map(str, expression.get("values") or []))
        return f"{expression.get('key')} {expression.get('operator')}{f' [{values}]' if values else ''}"

    return " or ".join(" and ".join(text(item) for item in term.get("matchExpressions") or []) or "without expressions" for term in terms)


def table(proof: Proof) -> str:
    """The proof as text: a row a pod, a column a node group."""
    groups = list(dict.fromkeys((placement.group.name, placement.group.capacity_type) for placement in proof.placements))
    rows = [["pod", *(f"{name} ({capacity})" for name, capacity in groups)]]
    for pod in dict.fromkeys(placement.pod.name for placement in proof.placements):
        cells = {p.group.name: "yes" if p.possible else f"no: {p.obstacles[0]}" for p in proof.placements if p.pod.name == pod}
        rows.append([pod, *(cells[name] for name, _ in groups)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
