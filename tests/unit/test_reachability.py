"""Who reaches whom, over made-up plans and over the real program's. Security groups only: routes and network ACLs are not judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from components import reachability
from components.planned import PlannedResource
from tests.conftest import Engine, eks_group

EKS = "sg-eks"


def planned(kind: str, name: str, **inputs: Any) -> PlannedResource:
    """One resource of a plan."""
    return PlannedResource(type=kind, name=name, inputs=inputs)


def template(name: str, *groups: str) -> PlannedResource:
    """A node group's launch template."""
    return planned(reachability.LAUNCH_TEMPLATE, f"{name}-template", vpcSecurityGroupIds=list(groups))


def rule(**inputs: Any) -> PlannedResource:
    """An ingress rule of the database's group."""
    plan = {"securityGroupId": "sg-db", "ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432, "referencedSecurityGroupId": "sg-nodes"}
    return planned(reachability.INGRESS_RULE, "rule", **{**plan, **inputs})


NODES = planned(reachability.NODE_GROUP, "ng", launchTemplate={"id": "lt-1"})
DATABASE = planned("aws:rds/instance:Instance", "db", vpcSecurityGroupIds=["sg-db"])
SOUND = [NODES, template("ng", EKS, "sg-nodes"), DATABASE, rule()]


def test_a10_a_plan_in_which_nodes_alone_reach_the_database_has_no_problems() -> None:
    assert reachability.problems(SOUND, EKS) == []


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([NODES, template("ng", "sg-nodes"), DATABASE, rule()], "nodes of ng do not carry EKS's own security group"),
        ([NODES, template("ng", EKS), DATABASE, rule()], "nodes of ng cannot reach db on 5432"),
        ([NODES, template("ng", EKS, "sg-nodes"), DATABASE], "nodes of ng cannot reach db on 5432"),
        ([NODES, template("ng", EKS, "sg-nodes"), DATABASE, rule(toPort=5433)], "db is open on 5432-5433, and nodes need 5432 only"),
        ([NODES, template("ng", EKS, "sg-nodes"), DATABASE, rule(ipProtocol="-1")], "db is open on 0-65535"),
        ([*SOUND, rule(referencedSecurityGroupId=EKS)], "db is open to sg-eks, which the control plane carries"),
        ([*SOUND, rule(referencedSecurityGroupId="sg-x")], "db is open to sg-x, which no node carries"),
        ([*SOUND, rule(referencedSecurityGroupId=None, cidrIpv4="10.0.0.0/16")], "db is open to addresses 10.0.0.0/16"),
        ([NODES, template("ng", EKS, "sg-nodes"), planned("aws:rds/instance:Instance", "db")], "db names no security group"),
        ([planned(reachability.NODE_GROUP, "ng"), DATABASE, rule()], "nodes of ng cannot reach db on 5432"),
        (
            [
                *SOUND,
                planned(
                    reachability.OLD_RULE,
                    "old",
                    type="ingress",
                    securityGroupId="sg-db",
                    protocol="tcp",
                    fromPort=5432,
                    toPort=5432,
                    cidrBlocks=["0.0.0.0/0"],
                ),
            ],
            "db is open to addresses 0.0.0.0/0",
        ),
        ([*SOUND, planned(reachability.SECURITY_GROUP, "sg", ingress=[{"fromPort": 1}])], "security group sg has inline rules"),
    ],
)
def test_a_plan_with_a_gap_or_a_hole_is_refused_with_the_reason(plan: list[PlannedResource], message: str) -> None:
    assert any(message in problem for problem in reachability.problems(plan, EKS)), reachability.problems(plan, EKS)


@pytest.mark.parametrize("stack", ["local", "dev"])
def test_a8_a10_nodes_alone_reach_database_and_file_system_in_the_shipped_stacks(run_main: Callable[..., Engine], stack: str) -> None:
    engine = run_main(stack)
    plan = [PlannedResource(type=kind, name=name, inputs=inputs) for (kind, name), inputs in engine.resources.items()]
    own = eks_group(f"airflow-{stack}")
    nodes = reachability.node_security_groups(plan, own)
    assert set(nodes) == {"airflow-ng-on-demand", "ng-spot1"}
    assert any(resource.type == "aws:rds/instance:Instance" for resource in plan)
    assert sum(resource.type == "aws:efs/mountTarget:MountTarget" for resource in plan) == 3
    assert reachability.problems(plan, own) == []
