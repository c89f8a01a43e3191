"""C4, C5: the program itself, with each shipped stack file, against the policies and the placement proof.

Mocks do not show the children of `eks.Cluster`, so rules about the control plane and its add-ons are the engine tier's to see.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import yaml

from components import placement
from components.airflow_config import POD_TEMPLATE_FILE
from components.placement_plan import Machine
from components.planned import PlannedResource
from policies.check import examine
from policies.exceptions import EXCEPTIONS
from tests.conftest import INSTANCE_TYPES, NAMESPACE, PROJECT, Engine

STACKS = sorted(file.name.split(".")[1] for file in PROJECT.glob("Pulumi.*.yaml"))
MACHINES = {name: Machine(vcpus=vcpus, memory_mib=memory, max_pods=29) for name, (vcpus, memory, _, _) in INSTANCE_TYPES.items()}
MOCKED = ("eks-", "access-")
"""Rules about children of `eks.Cluster`."""


def planned(engine: Engine) -> list[PlannedResource]:
    """What a run of the program registered, as policies read it."""
    parents = {key: request.parent.rpartition("::")[2] for key, request in engine.monitor.requests.items()}
    return [
        PlannedResource(type=kind, name=name, inputs=inputs, parent=parents.get((kind, name), ""))
        for (kind, name), inputs in engine.raw.items()
    ]


def environment(stack: str) -> str:
    given = yaml.safe_load((PROJECT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return str(given.get(f"{NAMESPACE}:environment", "dev"))


@pytest.mark.parametrize("stack", STACKS)
def test_the_program_keeps_every_policy(run_main: Callable[[str], Engine], stack: str):
    report = examine(planned(run_main(stack)), environment=environment(stack))
    assert [str(finding) for finding in report.findings] == []


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_an_exception_that_the_shipped_stack_does_not_need_is_not_granted(run_main: Callable[[str], Engine], stack: str):
    broken = {finding.policy.id for finding in examine(planned(run_main(stack)), environment="prod").findings}
    assert {rule for rule in EXCEPTIONS[stack] if not rule.startswith(MOCKED)} <= broken


@pytest.mark.parametrize(("stack", "preview"), [*((stack, False) for stack in STACKS), ("prod", True)])
def test_every_pod_of_the_program_has_a_place_and_only_tasks_are_on_spot(run_main: Callable[..., Engine], stack: str, preview: bool):
    proof = placement.prove(planned(run_main(stack, preview=preview)), MACHINES)
    assert proof.problems == ()
    assert {placed.pod.worker for placed in proof.placements if placed.possible and placed.group.spot} <= {True}
    assert run_main(stack, preview=preview).exports["placement"] == placement.as_data(proof), "the program knows where its pods can land"
    assert len({placed.pod.name for placed in proof.placements if not placed.pod.worker}) >= 6, "four programs and two Jobs"


def test_b10_with_the_fallback_tasks_overflow_and_nothing_else_does(run_main: Callable[..., Engine]):
    plan = planned(run_main("prod", {"workers.fallback": "on-demand"}))
    assert [str(finding) for finding in examine(plan, environment="prod").findings] == []
    proof = placement.prove(plan, MACHINES, fallback="on-demand")
    assert proof.problems == ()
    header, *lines = (re.split(" {2,}", line) for line in placement.table(proof).splitlines())
    (tasks,) = (dict(zip(header, line, strict=True)) for line in lines if line[0] == f"worker pod ({POD_TEMPLATE_FILE})")
    assert tasks["ng-on-demand (ON_DEMAND)"] == "no: required affinity lifecycle In [Ec2Spot,OnDemandOverflow]"
    assert tasks["ng-spot1 (SPOT)"] == "yes, preferred"
    assert tasks["ng-overflow (ON_DEMAND)"] == "yes, if no other has room"
    assert all(placed.obstacles for placed in proof.placements if placed.group.name == "ng-overflow" and not placed.pod.worker)
    for placed in proof.placements:
        if placed.group.name == "ng-overflow" and not placed.pod.worker and "nodeSelector" in placed.pod.spec:
            assert len(placed.obstacles) == 2, "neither label nor taint lets it: one of them may be lost"


def test_b8_with_container_insights_all_policies_hold_and_its_controller_is_never_on_spot(run_main: Callable[..., Engine]):
    plan = planned(run_main("prod", {"cluster.containerInsights": True}))
    assert [str(finding) for finding in examine(plan, environment="prod").findings] == []
    proof = placement.prove(plan, MACHINES)
    assert proof.problems == ()
    controller = [placed for placed in proof.placements if placed.pod.name == "add-on amazon-cloudwatch-observability"]
    assert {placed.group.name: placed.possible for placed in controller} == {"ng-on-demand": True, "ng-spot1": False}
    [spot] = [placed for placed in controller if placed.group.spot]
    assert len(spot.obstacles) == 2, "neither label nor taint lets it: the taint may be a soft one"
