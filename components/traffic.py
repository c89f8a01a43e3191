"""Which connections a plan's NetworkPolicies leave open, pod by pod. A question to the plan, since no emulator drops packets. Pure.

The rules are Kubernetes' own (NetworkPolicy v1): a pod that no policy of a direction selects may do everything in it, policies add up,
and two pods may talk when the one's egress and the other's ingress both say so. Nodes always reach their own pods (probes).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.placement_plan import CONFIG_MAP, POD_SPECS, pod_templates
from components.planned import PlannedResource
from components.planned_values import at, known, readable_plan
from components.web_ui import PRIVATE_RANGES

NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
ANYWHERE = "any address"
EVERY_PORT = "every port"
DIRECTIONS = {"Egress": ("egress", "to"), "Ingress": ("ingress", "from")}
Labels = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, order=True)
class Flow:
    """One kind of connection that is open."""

    source: str
    """A component of Airflow, or who else may connect."""
    target: str
    port: str


@dataclass(frozen=True, kw_only=True)
class _Door:
    """One rule of one direction, seen from a pod."""

    peers: tuple[Mapping[str, Any], ...]
    """Empty: everybody."""
    ports: frozenset[str]

    def admits(self, labels: Labels) -> bool:
        """Whether the peer may be a pod of the same namespace with these labels."""
        return not self.peers or any(_is_pod(peer, labels) or _covers_pods(peer) for peer in self.peers)

    @property
    def outside(self) -> str:
        """The peers that are no pods of the namespace; empty when there are none."""
        strangers = [peer for peer in self.peers if "ipBlock" in peer or "namespaceSelector" in peer]
        return ", ".join(map(_stranger, strangers)) if self.peers else ANYWHERE


def flows(resources: Iterable[PlannedResource]) -> list[Flow]:
    """Every connection that is open to or from the pods of a plan.

    Raises:
        ValueError: a policy uses what this does not read (port ranges).
    """
    plan = readable_plan(resources)
    policies = [known(resource.inputs.get("spec"), Mapping, {}) for resource in plan if resource.type == NETWORK_POLICY]
    pods = {str(labels.get("component", name)): labels for name, labels in _planned_labels(plan)}
    found = set()
    for name, labels in pods.items():
        for door in _doors(policies, labels, "Egress"):
            for other, theirs in pods.items():
                for entry in _doors(policies, theirs, "Ingress") if door.admits(theirs) else ():
                    if entry.admits(labels):
                        found |= {Flow(source=name, target=other, port=port) for port in _both(door.ports, entry.ports)}
            if door.outside:
                found |= {Flow(source=name, target=door.outside, port=port) for port in door.ports}
        for door in _doors(policies, labels, "Ingress"):
            if door.outside:
                found |= {Flow(source=door.outside, target=name, port=port) for port in door.ports}
    return sorted(found)


def table(found: Sequence[Flow]) -> str:
    """Flows as a Markdown table, those with the same target and port in one row."""
    rows: dict[tuple[str, str], list[str]] = {}
    for flow in found:
        rows.setdefault((flow.target, flow.port), []).append(flow.source)
    lines = sorted(f"| {', '.join(sources)} | {target} | {port} |" for (target, port), sources in rows.items())
    return "\n".join(["| from | to | port |", "|---|---|---|", *lines])


def _planned_labels(plan: Iterable[PlannedResource]) -> Iterable[tuple[str, Labels]]:
    for resource in plan:
        if path := POD_SPECS.get(resource.type):
            yield resource.name, known(at(resource.inputs, f"{path.removesuffix('spec')}metadata.labels"), Mapping, {})
        elif resource.type == CONFIG_MAP:
            yield from ((key, known(at(pod, "metadata.labels"), Mapping, {})) for key, pod in pod_templates(resource))


def _doors(policies: Sequence[Mapping[str, Any]], labels: Labels, direction: str) -> list[_Door]:
    field, side = DIRECTIONS[direction]
    ours = [spec for spec in policies if direction in _types(spec) and _selects(spec.get("podSelector"), labels)]
    if not ours:
        return [_Door(peers=(), ports=frozenset([EVERY_PORT]))]
    return [
        _Door(peers=tuple(rule.get(side) or ()), ports=frozenset(map(_port, rule.get("ports") or [])) or frozenset([EVERY_PORT]))
        for spec in ours
        for rule in spec.get(field) or []
    ]


def _types(spec: Mapping[str, Any]) -> Sequence[str]:
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _selects(selector: Any, labels: Labels) -> bool:
    wanted = known(selector, Mapping, {})
    return all(labels.get(key) == value for key, value in (wanted.get("matchLabels") or {}).items()) and all(
        _holds(expression, labels) for expression in wanted.get("matchExpressions") or []
    )


def _holds(expression: Mapping[str, Any], labels: Labels) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or []
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[expression["operator"]]


def _port(entry: Mapping[str, Any]) -> str:
    if entry.get("endPort"):
        raise ValueError(f"a NetworkPolicy opens ports {entry.get('port')} to {entry['endPort']}: list them one by one")
    port = entry.get("port")
    number = f"{port:g}" if isinstance(port, float) else port
    return f"{entry.get('protocol', 'TCP')} {number}" if port else EVERY_PORT


def _both(ours: frozenset[str], theirs: frozenset[str]) -> frozenset[str]:
    if EVERY_PORT in ours:
        return theirs
    return ours if EVERY_PORT in theirs else ours & theirs


def _is_pod(peer: Mapping[str, Any], labels: Labels) -> bool:
    return "podSelector" in peer and "namespaceSelector" not in peer and _selects(peer["podSelector"], labels)


def _covers_pods(peer: Mapping[str, Any]) -> bool:
    # pods have addresses of the VPC, which are private ones
    block = known(peer.get("ipBlock"), Mapping, {})
    if not block:
        return False
    left_out = [ipaddress.ip_network(cidr) for cidr in block.get("except") or []]
    ranges = [
        ipaddress.ip_network(cidr) for cidr in PRIVATE_RANGES if ipaddress.ip_network(cidr).overlaps(ipaddress.ip_network(block["cidr"]))
    ]
    return any(not any(_within(space, hole) for hole in left_out) for space in ranges)


def _within(inner: Any, outer: Any) -> bool:
    return bool(inner.version == outer.version and inner.subnet_of(outer))


def _stranger(peer: Mapping[str, Any]) -> str:
    if block := peer.get("ipBlock"):
        return f"{block['cidr']} without {', '.join(block['except'])}" if block.get("except") else str(block["cidr"])
    texts = [f"pods {_text(peer.get('podSelector'))}", f"of namespaces {_text(peer['namespaceSelector'])}"]
    return " ".join(text.replace(" (all)", "") for text in texts)


def _text(selector: Any) -> str:
    labels = known(at(selector, "matchLabels"), Mapping, {})
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or "(all)"
