"""How a rule is written: what it looks at, what it says, how to put it right.

A rule answers about one subject: True (it holds), False (it does not), a list of texts (one finding each), or UNKNOWN when only the
deployment can tell. UNKNOWN neither passes nor fails; it is counted, so that a preview does not claim more than it saw.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from components.placement_plan import ADD_ON, Pod, display_name, planned_pods
from components.planned import UNKNOWN, PlannedResource
from components.planned_values import UNKNOWN_TEXTS, at, is_known, known, readable_plan

Verdict = Any
"""bool, UNKNOWN, or a list of texts."""
POD, CONTAINER, PLAN, RESOURCE = "any pod", "any container", "the plan as a whole", "any resource"
POLICIES: dict[str, Policy] = {}


def every(*verdicts: Verdict) -> Verdict:
    """True if all are, False if any is; else UNKNOWN."""
    if any(verdict is False for verdict in verdicts):
        return False
    return True if all(verdict is True for verdict in verdicts) else UNKNOWN


def some(*verdicts: Verdict) -> Verdict:
    """True if any is; UNKNOWN if none is and any is unknown; else False."""
    if any(verdict is True for verdict in verdicts):
        return True
    return UNKNOWN if any(not is_known(verdict) for verdict in verdicts) else False


@dataclass(frozen=True)
class Subject:
    """What a rule looks at: a resource's inputs, a pod's spec or a container."""

    plan: Plan
    name: str
    """Kind and name, as findings show it."""
    data: Mapping[str, Any]
    resource: PlannedResource | None = None
    pod: Pod | None = None

    def at(self, path: str, default: Any = None) -> Any:
        """The value at a dotted path."""
        return at(self.data, path, default)

    def true(self, path: str, default: Any = False) -> Verdict:
        """Whether the value is true; AWS's own default stands in when it is not given."""
        value = self.at(path, default)
        return value in (True, "true", "True") if is_known(value) else UNKNOWN

    def false(self, path: str, default: Any = False) -> Verdict:
        """Whether the value is false."""
        verdict = self.true(path, default)
        return UNKNOWN if verdict is UNKNOWN else not verdict

    def given(self, path: str) -> bool:
        """Whether there is a value; one that will be known later is one."""
        value = self.at(path)
        return not is_known(value) or value not in (None, "", [], {})

    def has(self, path: str, *allowed: Any, default: Any = None) -> Verdict:
        """Whether the value is one of these."""
        value = self.at(path, default)
        return value in allowed if is_known(value) else UNKNOWN

    def number(self, path: str, least: float, most: float = float("inf"), default: Any = 0) -> Verdict:
        """Whether the value is a number in this range."""
        value = self.at(path, default)
        return (isinstance(value, int | float) and least <= value <= most) if is_known(value) else UNKNOWN

    def covers(self, path: str, *wanted: Any) -> Verdict:
        """Whether a list contains all of these."""
        value = self.at(path, [])
        return set(wanted) <= set(value) if is_known(value) and all(map(is_known, value)) else UNKNOWN

    def items(self, path: str) -> list[Any]:
        """The known entries of a list."""
        return [item for item in known(self.at(path), list | tuple, []) if is_known(item)]

    @cached_property
    def children(self) -> list[Subject]:
        """The other resources of the component that made this one."""
        parent = self.resource.parent if self.resource else ""
        return [other for other in self.plan.subjects() if other.resource and other.resource.parent == parent]


@dataclass(frozen=True)
class Plan:
    """All planned resources, and the environment they are for."""

    resources: Sequence[PlannedResource]
    environment: str = "prod"

    @cached_property
    def _all(self) -> list[Subject]:
        return [Subject(self, _title(resource), resource.inputs, resource) for resource in readable_plan(self.resources)]

    @cached_property
    def _pods(self) -> list[Subject]:
        pods = planned_pods([subject.resource for subject in self._all if subject.resource])
        # the values of a chart or an add-on are no pod: what is made of them is its own
        return [
            Subject(self, pod.name, pod.spec, pod.resource, pod)
            for pod in pods
            if not (pod.resource and (":helm." in pod.resource.type or pod.resource.type == ADD_ON))
        ]

    @cached_property
    def _containers(self) -> list[Subject]:
        return [
            Subject(self, f"{pod.name}/{container.get('name', '?')}", container, pod.resource, pod.pod)
            for pod in self._pods
            for kind in ("initContainers", "containers")
            for container in pod.items(kind)
        ]

    @cached_property
    def _by_type(self) -> dict[str, list[Subject]]:
        found: dict[str, list[Subject]] = {}
        for subject in self._all:
            if subject.resource:
                found.setdefault(subject.resource.type, []).append(subject)
        return found

    def subjects(self, *types: str) -> list[Subject]:
        """The resources of these types, one type after the other, or all."""
        return [subject for kind in types for subject in self._by_type.get(kind, ())] if types else self._all

    def targets(self, target: str) -> list[Subject]:
        """What a policy with this target looks at."""
        if target == PLAN:
            return [Subject(self, "plan", {})]
        if target == RESOURCE:
            return self.subjects()
        if target == POD:
            return self._pods
        if target == CONTAINER:
            return self._containers
        return self.subjects(*target.split())


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One rule."""

    id: str
    target: str
    """Resource types, blank between them, or one of POD, CONTAINER, PLAN, RESOURCE."""
    cites: tuple[str, ...]
    """Ids of the scanners and benchmarks that have the rule; empty: ours alone."""
    message: str
    """What is wrong when it does not hold."""
    fix: str
    judge: Callable[[Subject], Verdict] = field(repr=False)


def policy(
    id: str, target: str, cites: str, message: str, fix: str, judge: Callable[[Subject], Verdict] | None = None
) -> Callable[..., Any]:
    """Register a rule: with the judging function as last argument, or as a decorator of it."""

    def register(function: Callable[[Subject], Verdict]) -> Callable[[Subject], Verdict]:
        if id in POLICIES:
            raise ValueError(f"two policies are called {id}")
        POLICIES[id] = Policy(id=id, target=target, cites=tuple(cites.split()), message=message, fix=fix, judge=function)
        return function

    return register(judge) if judge else register


def _title(resource: PlannedResource) -> str:
    package, _, rest = resource.type.partition(":")
    return display_name(resource) if package == "kubernetes" else f"{rest.partition('/')[0]}.{rest.rpartition(':')[2]} {resource.name}"


def statements(subject: Subject, path: str) -> list[dict[str, Any]] | None:
    """Statements of an IAM policy document given as JSON text or object; None when it is not known yet."""
    value = subject.at(path)
    if isinstance(value, str):
        if any(text in value for text in UNKNOWN_TEXTS):
            return None
        try:
            value = json.loads(value)
        except ValueError:
            return []
    if not isinstance(value, Mapping):
        return None if not is_known(value) else []
    found = value.get("Statement") or []
    return [dict(item) for item in ([found] if isinstance(found, Mapping) else found)]


def listed(value: Any) -> list[Any]:
    """One value or several, as IAM documents write them, as a list."""
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from texts(item, f"{path}[{index}]")
