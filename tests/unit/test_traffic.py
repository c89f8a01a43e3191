"""B4: which connections NetworkPolicies leave open, over made-up policies and over the real program's.

What this level cannot prove: that a node's agent drops the others. On EKS the VPC CNI does; the embedded cloud's nodes do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from components import traffic
from components.planned import PlannedResource
from tests.conftest import PROJECT, Engine
from tests.unit.test_policies_stack import planned

DENY: dict[str, Any] = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
WORLD = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]}}


def pod(name: str) -> PlannedResource:
    template = {"metadata": {"labels": {"component": name}}, "spec": {"containers": []}}
    return PlannedResource(type="kubernetes:apps/v1:Deployment", name=name, inputs={"spec": {"template": template}})


def opened(*policies: dict[str, Any]) -> set[str]:
    plan = [pod("a"), pod("b")]
    plan += [PlannedResource(type=traffic.NETWORK_POLICY, name=str(index), inputs={"spec": spec}) for index, spec in enumerate(policies)]
    return {f"{flow.source} -> {flow.target} {flow.port}" for flow in traffic.flows(plan)}


def out(component: str, *peers: dict[str, Any], port: int = 0) -> dict[str, Any]:
    rule: dict[str, Any] = {"to": list(peers)} | ({"ports": [{"protocol": "TCP", "port": float(port)}]} if port else {})
    return {"podSelector": {"matchLabels": {"component": component}}, "policyTypes": ["Egress"], "egress": [rule]}


def into(component: str, *peers: dict[str, Any], port: int = 0) -> dict[str, Any]:
    rule: dict[str, Any] = {"from": list(peers)} | ({"ports": [{"port": port}]} if port else {})
    return {"podSelector": {"matchLabels": {"component": component}}, "policyTypes": ["Ingress"], "ingress": [rule]}


PODS: dict[str, Any] = {"podSelector": {}}
A: dict[str, Any] = {"podSelector": {"matchLabels": {"component": "a"}}}
NOT_A: dict[str, Any] = {"podSelector": {"matchExpressions": [{"key": "component", "operator": "NotIn", "values": ["a"]}]}}


@pytest.mark.parametrize(
    ("policies", "found"),
    [
        ([DENY], set()),
        ([DENY, out("a", PODS)], set()),
        ([DENY, out("a", PODS), into("b", PODS, port=80)], {"a -> b TCP 80"}),
        ([DENY, out("a", PODS, port=80), into("b", PODS, port=81)], set()),
        ([DENY, out("b", PODS, port=80), into("a", A, port=80)], set()),
        ([DENY, out("b", PODS, port=80), into("a", NOT_A)], {"b -> a TCP 80"}),
        ([DENY, out("a", port=80)], {"a -> any address TCP 80"}),
        ([DENY, out("a", port=80), into("b")], {"a -> any address TCP 80", "a -> b TCP 80", "any address -> b every port"}),
        ([DENY, out("a", WORLD), into("b")], {f"a -> {traffic._stranger(WORLD)} every port", "any address -> b every port"}),
        ([DENY, out("a", {"ipBlock": {"cidr": "10.0.0.0/8"}}), into("b", A)], {"a -> 10.0.0.0/8 every port", "a -> b every port"}),
    ],
    ids=[
        "deny",
        "one side",
        "both sides",
        "other port",
        "not from b",
        "by expression",
        "anywhere",
        "anywhere is pods too",
        "world",
        "range",
    ],
)
def test_what_policies_leave_open(policies: list[dict[str, Any]], found: set[str]) -> None:
    assert opened(*policies) == found


def test_without_a_policy_everything_is_open() -> None:
    assert {"a -> b every port", "any address -> a every port", "b -> any address every port"} <= opened()


def test_a_range_of_ports_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="ports 1 to 9"):
        opened({**DENY, "egress": [{"ports": [{"port": 1, "endPort": 9}]}]})


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_b4_the_program_leaves_open_what_is_documented_and_nothing_else(run_main: Callable[[str], Engine], stack: str) -> None:
    rows = traffic.table(traffic.flows(planned(run_main(stack))))
    assert f"\n\n{rows}\n\n" in (PROJECT / "docs" / "security.md").read_text(), (
        f"docs/security.md, 'Who may talk to whom', must say\n{rows}"
    )
