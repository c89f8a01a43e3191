"""What a plan is built from and what needs what: resources, and the components that group them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HIDDEN = ("pulumi:pulumi:Stack", "pulumi:providers:")
"""How types begin that are Pulumi's own book-keeping."""


@dataclass(frozen=True, kw_only=True)
class GraphResource:
    """A resource of a plan with its place among the others."""

    urn: str
    type: str
    """Pulumi type token."""
    name: str
    parent: str
    """URN; empty for the stack itself."""
    needs: frozenset[str]
    """URNs that must exist first, of resources of the same plan."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """All components of one kind, or all resources of one type that belong to no component."""

    type: str
    """Type token of the components or the resources."""
    names: tuple[str, ...]
    resources: tuple[GraphResource, ...]
    """All of theirs, in order of registration."""
    needs: frozenset[str]
    """Types of the groups that must be there first, without those that another of them needs already."""

    @property
    def title(self) -> str:
        """Class of the component, or kind of the resources."""
        return short_type(self.type)

    @property
    def kinds(self) -> dict[str, int]:
        """How many resources of each type, components not counted."""
        found: dict[str, int] = defaultdict(int)
        for resource in self.resources:
            if not is_component(resource.type):
                found[resource.type] += 1
        return dict(found)


def short_type(token: str) -> str:
    """`aws:ec2/subnet:Subnet` as `Subnet`."""
    return token.rpartition(":")[2]


def is_component(token: str) -> bool:
    """Whether the type only groups others: those of this program, and those of the eks package."""
    return token.startswith(("airflow-on-eks:", "eks:"))


def read_saved_plan(document: Mapping[str, Any]) -> tuple[GraphResource, ...]:
    """The resources of a plan file, as `pulumi preview --save-plan` writes it, in a stable order.

    Raises:
        ValueError: the document is no plan.
    """
    plans = document.get("resourcePlans")
    if not isinstance(plans, Mapping):
        raise ValueError("this is no plan of Pulumi: it has no resourcePlans")
    goals = {urn: plan["goal"] for urn, plan in plans.items() if plan.get("goal") and not plan["goal"]["type"].startswith(HIDDEN)}
    found = []
    for urn, goal in sorted(goals.items()):
        needed = {
            *(goal.get("dependencies") or ()),
            *(one for all_ in (goal.get("propertyDependencies") or {}).values() for one in all_ or ()),
        }
        parent = goal.get("parent") or ""
        found.append(
            GraphResource(
                urn=urn,
                type=goal["type"],
                name=urn.split("::", 3)[3],
                parent=parent if parent in goals else "",
                needs=frozenset(needed & goals.keys() - {urn}),
            )
        )
    return tuple(found)


def grouped(resources: Sequence[GraphResource]) -> tuple[Group, ...]:
    """The resources by the component at their top, each group after those that it needs."""
    by_urn = {resource.urn: resource for resource in resources}

    def top(resource: GraphResource) -> GraphResource:
        while resource.parent:
            resource = by_urn[resource.parent]
        return resource

    members: dict[str, list[GraphResource]] = defaultdict(list)
    names: dict[str, dict[str, None]] = defaultdict(dict)
    needs: dict[str, set[str]] = defaultdict(set)
    for resource in resources:
        root = top(resource)
        members[root.type].append(resource)
        names[root.type][root.name] = None
        needs[root.type] |= {top(by_urn[urn]).type for urn in resource.needs} - {root.type}
    order = in_order(members, needs)
    place = {kind: number for number, kind in enumerate(order)}
    forward = {kind: {other for other in needs[kind] if place[other] < place[kind]} for kind in order}  # a loop has no first: open it
    direct = without_shortcuts(forward)
    return tuple(
        Group(type=kind, names=tuple(names[kind]), resources=tuple(members[kind]), needs=frozenset(direct[kind])) for kind in order
    )


def in_order(keys: Iterable[str], needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Each key after those that it needs, as far as there is no loop."""
    done: dict[str, None] = {}
    seen: set[str] = set()

    def visit(key: str) -> None:
        if key not in seen:
            seen.add(key)
            for other in sorted(needs.get(key, ())):
                visit(other)
            done[key] = None

    for key in sorted(keys):
        visit(key)
    return list(done)


def without_shortcuts(needs: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """The same without what follows from the rest: of a -> b, b -> c and a -> c the last says nothing new. Needs must have no loop."""
    behind: dict[str, set[str]] = {}
    for key in in_order(needs, needs):
        direct = set(needs.get(key, ()))
        behind[key] = direct.union(*(behind[other] for other in direct))
    return {key: set(others) - set().union(*(behind[other] for other in others)) for key, others in needs.items()}
