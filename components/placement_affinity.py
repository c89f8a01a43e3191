"""A pod's node affinity: what it requires, what it merely prefers, and whether it says so in a form that means anything. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components.planned import UNKNOWN
from components.planned_values import known

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

Labels = Mapping[str, str | None]
"""None: the label is there, with a value that differs from node to node."""


def affinity_flaw(spec: Mapping[str, Any]) -> str | None:
    """Why a pod's node affinity is not one: such a pod is refused, or pinned to nothing where unknown fields are dropped."""
    required, preferred = (_node_affinity(spec).get(kind) for kind in (REQUIRED, PREFERRED))
    flaw = None if required is None else _required_flaw(required)
    return flaw or (None if preferred is None or preferred is UNKNOWN else _preferred_flaw(preferred))


def preference(spec: Mapping[str, Any], labels: Labels) -> int:
    """How much a pod wants nodes with these labels: the sum of the weights that match. It only orders nodes that have room."""
    preferred = known(_node_affinity(spec).get(PREFERRED), list | tuple, [])
    wanted = [item for item in preferred if isinstance(item, Mapping) and _term_matches(known(item.get("preference"), Mapping, {}), labels)]
    return sum(int(known(item.get("weight"), int | float, 0)) for item in wanted)


def required_terms(spec: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The alternatives of which a node must match one; None: every node will do."""
    required = _node_affinity(spec).get(REQUIRED)
    terms = required.get("nodeSelectorTerms") if isinstance(required, Mapping) else None
    return [term for term in terms if isinstance(term, Mapping)] if isinstance(terms, list | tuple) and terms else None


def any_matches(terms: Sequence[Mapping[str, Any]], labels: Labels) -> bool:
    """Whether nodes with these labels match one of the terms."""
    return any(_term_matches(term, labels) for term in terms)


def selected(labels: Labels, key: str, value: Any) -> bool:
    """Whether a node selector's pair is among the labels."""
    return _matches(labels, key, "In", [value])


def describe(terms: Sequence[Mapping[str, Any]]) -> str:
    """Terms as text."""

    def text(expression: Mapping[str, Any]) -> str:
        values = ",".join(map(str, expression.get("values") or []))
        return f"{expression.get('key')} {expression.get('operator')}{f' [{values}]' if values else ''}"

    return " or ".join(" and ".join(text(item) for item in term.get("matchExpressions") or []) or "without expressions" for term in terms)


def _node_affinity(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = known(known(spec.get("affinity"), Mapping, {}).get("nodeAffinity"), Mapping, {})
    return found


def _required_flaw(required: Any) -> str | None:
    if not isinstance(required, Mapping):
        return "required node affinity must be an object with nodeSelectorTerms, not a list: that shape belongs to preferred affinity"
    if strays := sorted(set(required) - {"nodeSelectorTerms"}):
        return f"required node affinity has {', '.join(strays)}, which belong to preferred affinity; give nodeSelectorTerms"
    terms = required.get("nodeSelectorTerms")
    if not isinstance(terms, list | tuple) or not terms or not all(isinstance(term, Mapping) and any(term.values()) for term in terms):
        return "required node affinity needs nodeSelectorTerms with at least one expression each"
    return None


def _preferred_flaw(preferred: Any) -> str | None:
    if not isinstance(preferred, list | tuple) or not all(isinstance(item, Mapping) for item in preferred):
        return "preferred node affinity must be a list of weights with a preference each"
    for item in preferred:
        if strays := sorted(set(item) - {"weight", "preference"}):
            return f"preferred node affinity has {', '.join(strays)}; each entry is a weight with a preference"
        weight = item.get("weight")
        if isinstance(weight, bool) or not isinstance(weight, int) or not 1 <= weight <= 100:
            return f"preferred node affinity has weight {weight!r}; Kubernetes takes 1 to 100"
    return None


def _term_matches(term: Mapping[str, Any], labels: Labels) -> bool:
    expressions = known(term.get("matchExpressions"), list | tuple, [])
    return bool(expressions or term.get("matchFields")) and all(
        _matches(labels, expression.get("key"), expression.get("operator"), expression.get("values") or []) for expression in expressions
    )


def _matches(labels: Labels, key: str, operator: str, values: Sequence[Any]) -> bool:
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
