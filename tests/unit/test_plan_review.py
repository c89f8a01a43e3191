"""What a preview ends with: price, placement and budget of a plan. The plans of the shipped stacks are the engine tier's."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import yaml
from pulumi.automation import events

from components.machines import MACHINES
from components.placement_plan import NODE_GROUP
from components.planned import UNKNOWN, PlannedResource
from components.worker_pod import WorkerPod, worker_pod
from embedded import __main__ as embedded
from embedded.engine import Progress
from embedded.plan import StackPlan, settings_from
from operations.plan_review import review
from tests.conftest import PROJECT
from tests.unit import policy_examples
from tests.unit.cost_plan import CORE, OVERFLOW, SPOT, resource
from tests.unit.test_component_contract import _imports
from tests.unit.test_settings import load, refusal

EITHER = {"matchExpressions": [{"key": "lifecycle", "operator": "In", "values": ["Ec2Spot", "OnDemand"]}]}
ONLY_SPOT = {"matchExpressions": [{"key": "lifecycle", "operator": "In", "values": ["Ec2Spot"]}]}
STACK = "urn:pulumi:dev::airflow-on-eks::pulumi:pulumi:Stack::airflow-on-eks-dev"
GROUP = "urn:pulumi:dev::airflow-on-eks::airflow-on-eks:index:Cluster$aws:eks/nodeGroup:NodeGroup::ng-on-demand"
CLUSTER = "urn:pulumi:dev::airflow-on-eks::airflow-on-eks:index:Cluster::airflow"


def changed(plan: list[PlannedResource], **inputs: Any) -> list[PlannedResource]:
    """A plan whose node groups have other inputs."""
    return [replace(one, inputs={**one.inputs, **inputs}) if one.type == NODE_GROUP else one for one in plan]


def deployment(**spec: Any) -> PlannedResource:
    pod = {"containers": [{"name": "scheduler", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}], **spec}
    inputs = {"metadata": {"name": "airflow-scheduler"}, "spec": {"replicas": 1.0, "template": {"spec": pod}}}
    return resource("kubernetes:apps/v1:Deployment", "airflow-scheduler", **inputs)


def tasks(memory: str = "1Gi") -> PlannedResource:
    """The template of worker pods, as a stack has it before its image is built."""
    names = {"release": "airflow", "config_map": "config", "dags_claim": "dags", "logs_claim": "logs"}
    pod = worker_pod(WorkerPod(**names, cpu="250m", memory=memory, grace_period_seconds=100))
    return template(pod)


def template(pod: dict[str, Any]) -> PlannedResource:
    return resource("kubernetes:core/v1:ConfigMap", "airflow-worker-pod", data={"pod.yaml": yaml.safe_dump({**pod, "kind": "Pod"})})


PLAN = [
    tasks(),
    *changed(SPOT, labels={"lifecycle": "Ec2Spot"}),
    *changed(CORE, labels={"lifecycle": "OnDemand"}),
    deployment(nodeSelector={"lifecycle": "OnDemand"}),
]
STRAY = [*PLAN[:-1], deployment(tolerations=[{"operator": "Exists"}])]


def test_a_sound_plan_is_deployable_and_its_price_is_said() -> None:
    found = review(PLAN, region="us-west-2")
    assert (found.placed, found.affordable, found.deployable) == (True, True, True)
    assert "no problem with 2 kinds of pods and 2 node groups" in found.text()
    assert found.text().splitlines()[-1].startswith("us-west-2, USD: "), "the totals come last"
    assert found.verdict().splitlines()[-1] == f"cost: {found.text().splitlines()[-1]}"


def test_a_pod_on_the_wrong_nodes_is_named_and_stops_the_plan() -> None:
    found = review(STRAY, region="us-west-2")
    assert (found.placed, found.affordable, found.deployable) == (False, True, False)
    for text in (found.text(), found.verdict()):
        assert "placement problem: Deployment airflow-scheduler could land on Spot group ng-spot1" in text
        assert "no problem" not in text


def test_a_worker_that_is_too_large_for_every_spot_type_stops_the_plan() -> None:
    found = review([tasks(memory="16Gi"), *PLAN[1:]], region="us-west-2")
    assert any("worker pod (pod.yaml) fits no Spot node group" in problem for problem in found.proof.problems)


@pytest.mark.parametrize(("budget", "affordable"), [(0, True), (10, False), (100_000, True)])
def test_a_plan_above_its_budget_is_refused_with_the_largest_items(budget: int, affordable: bool) -> None:
    found = review(PLAN, region="us-west-2", monthly_usd=budget)
    assert found.affordable is affordable
    assert found.deployable is affordable
    last = found.text().splitlines()[-1]
    assert last.startswith("over budget: the plan costs") is not affordable
    assert ("Core nodes ng-on-demand" in last) is not affordable


def test_what_could_not_be_judged_is_said() -> None:
    assert (
        "not judged: size of instance type x9.huge is not known"
        in review(changed(PLAN, instanceTypes=["x9.huge"]), region="us-west-2").text()
    )


def test_overflow_is_judged_by_the_fallback() -> None:
    overflow = changed(OVERFLOW, labels={"lifecycle": "OnDemand"})
    affinity = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [EITHER]},
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": ONLY_SPOT}],
    }
    tolerations = [{"key": "spotInstance", "operator": "Exists"}]
    anywhere = template({"spec": {"tolerations": tolerations, "affinity": {"nodeAffinity": affinity}}})
    plan = [*changed(SPOT, labels={"lifecycle": "Ec2Spot"}), *overflow, anywhere]
    assert not review(plan, region="us-west-2").placed
    assert review(plan, region="us-west-2", fallback="on-demand").placed


def test_c4_a_worker_template_that_is_not_known_is_said() -> None:
    unknown = resource("kubernetes:core/v1:ConfigMap", "airflow-worker-pod", data={"pod.yaml": UNKNOWN})
    assert "not judged: no worker pod template" in review([unknown, *PLAN[1:]], region="us-west-2").text()


def test_machine_sizes_are_those_of_ec2() -> None:
    from moto.ec2.models.instance_types import INSTANCE_TYPES  # a second to load, which other workers need not spend

    for name, machine in MACHINES.items():
        real = INSTANCE_TYPES[name]
        network = real["NetworkInfo"]
        addresses = network["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) + 2
        expected = (real["VCpuInfo"]["DefaultVCpus"], real["MemoryInfo"]["SizeInMiB"], addresses)
        assert (machine.vcpus, machine.memory_mib, machine.max_pods) == expected, name


@pytest.mark.parametrize(
    ("command", "plan", "code", "last"),
    [
        ("policy", policy_examples.plan(), 0, "0 findings"),
        ("policy", policy_examples.broken("database", "multiAz", False), 1, "1 finding"),
        ("preview", PLAN, 0, "us-west-2, USD: "),
        ("preview", STRAY, 1, "us-west-2, USD: "),
    ],
    ids=["c5 no finding", "c5 a finding", "c4 all placed", "c4 one astray"],
)
def test_a_command_fails_on_what_it_finds_and_ends_with_the_sum(
    command: str, plan: list[PlannedResource], code: int, last: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_from(*stack_file("prod"), stack="prod")
    monkeypatch.setattr(embedded, "_plan", lambda *_, **__: nullcontext(StackPlan(resources=plan, settings=settings)))
    monkeypatch.setattr(sys, "argv", ["embedded", "--stack", "prod", command])
    assert embedded.main() == code
    assert capsys.readouterr().out.splitlines()[-1].startswith(last)


def test_the_review_knows_nothing_of_pulumi() -> None:
    seen: set[str] = set()
    todo = ["operations.plan_review"]
    while todo:
        name = todo.pop()
        seen.add(name)
        imports = list(_imports(PROJECT / f"{name.replace('.', '/')}.py"))
        assert not any(found.split(".")[0].startswith("pulumi") for found in imports), name
        todo += [found for found in imports if found.startswith(("components.", "operations.")) and found not in seen]


def event(operation: str, urn: str, *, parent: str = "", inputs: dict[str, Any] | None = None, old: bool = False) -> events.EngineEvent:
    """One event as the engine writes it before it touches a resource."""
    kind = urn.split("::")[2].rpartition("$")[2]
    state = {"type": kind, "urn": urn, "id": "", "parent": parent, "provider": "", "inputs": inputs}
    metadata = {"op": operation, "urn": urn, "type": kind, "provider": "", **({"old": state} if old else {"new": state})}
    return events.EngineEvent.from_json({"sequence": 1, "timestamp": 1, "resourcePreEvent": {"metadata": metadata}})


def collected(*given: events.EngineEvent) -> list[PlannedResource]:
    progress = Progress(quiet=True, preview=True)
    for one in given:
        progress(one)
    return progress.plan


@pytest.mark.parametrize("operation", ["create", "same", "update", "import", "create-replacement"])
def test_progress_collects_what_the_stack_will_have(operation: str) -> None:
    inputs = {"instanceTypes": ["m5.large"]}
    cluster, group = collected(event(operation, CLUSTER, parent=STACK), event(operation, GROUP, parent=CLUSTER, inputs=inputs))
    assert cluster == PlannedResource(type="airflow-on-eks:index:Cluster", name="airflow", inputs={}, parent="")
    assert group == PlannedResource(type="aws:eks/nodeGroup:NodeGroup", name="ng-on-demand", inputs=inputs, parent="airflow")


@pytest.mark.parametrize("operation", ["delete", "delete-replaced", "discard", "read", "refresh", "remove-pending-replace"])
def test_progress_leaves_out_what_goes_or_is_not_the_stacks(operation: str) -> None:
    assert collected(event(operation, GROUP, parent=CLUSTER, old=True), event(operation, GROUP, parent=CLUSTER)) == []


def test_a_replacement_is_one_resource_with_its_new_inputs() -> None:
    steps = [event(step, GROUP, parent=CLUSTER, inputs={"diskSize": 60.0}) for step in ("create-replacement", "replace")]
    (group,) = collected(*steps, event("delete-replaced", GROUP, parent=CLUSTER, inputs={"diskSize": 50.0}, old=True))
    assert group.inputs == {"diskSize": 60.0}


def stack_file(stack: str, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    declared = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
    return declared, {**yaml.safe_load((PROJECT / f"Pulumi.{stack}.yaml").read_text())["config"], **more}


@pytest.mark.parametrize("stack", ["dev", "local"])
def test_settings_read_from_the_stack_file_are_those_that_the_program_loads(stack: str) -> None:
    mocked = stack_file(stack, **{"airflow-on-eks:preflight": "skip"})  # as every program that runs on mocks has it
    assert settings_from(*mocked, stack=stack) == load(stack=stack)


def test_the_budget_may_stand_in_a_section_or_be_set_by_name() -> None:
    assert settings_from(*stack_file("dev"), stack="dev").budget.monthly_usd == 0
    section = stack_file("dev", **{"airflow-on-eks:budget": {"monthlyUsd": 300}})
    assert settings_from(*section, stack="dev").budget.monthly_usd == 300
    assert settings_from(*stack_file("dev", **{"airflow-on-eks:budget.monthlyUsd": "250"}), stack="dev").budget.monthly_usd == 250


@pytest.mark.parametrize(
    ("value", "words"), [(-1, "must be >= 0; 0 for no budget"), ("cheap", "must be an integer"), (9.5, "must be an integer")]
)
def test_a_budget_that_is_none_is_refused_before_anything_is_deployed(value: Any, words: str) -> None:
    message = refusal({"budget.monthlyUsd": value})
    assert "budget.monthlyUsd" in message
    assert words in message


def test_a_stack_plan_hands_its_settings_to_review_and_policies() -> None:
    settings = settings_from(*stack_file("dev", **{"airflow-on-eks:budget": {"monthlyUsd": 10}}), stack="dev")
    plan = StackPlan(resources=PLAN, settings=settings)
    assert not plan.review().affordable
    assert plan.review().placed
    assert "worker pod" not in " ".join(finding.resource for finding in plan.policy_report().findings), "its image comes from the executor"
