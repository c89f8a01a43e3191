"""A15, A18, B15: the cluster policy, what DAGs import, the plugin. Airflow is stood in for here; the e2e tests show the real one obey."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from kubernetes.client import models as k8s

from components import airflow_config, settings_rules_airflow, spot_pools, worker_pod

DOCKER = Path(__file__).parents[2] / "docker"
VANISHED = (
    "Executor K reported that the task instance T finished with state failed, but the task instance's state attribute is running. Learn"
)


class Refused(Exception):
    """Airflow's own exception, whose text the web UI shows."""


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The modules of the image."""
    airflow = {
        "airflow": {},
        "airflow.exceptions": {"AirflowClusterPolicyViolation": Refused},
        "airflow.listeners": {"hookimpl": lambda function: function},
        "airflow.plugins_manager": {"AirflowPlugin": object},
    }
    for name, contents in airflow.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    for folder in (DOCKER, DOCKER / "plugins"):
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("AIRFLOW__CORE__DEFAULT_TASK_RETRIES", "2")
    names = ("airflow_local_settings", "airflow_on_eks", "interruptions", "airflow_on_eks.node_silence")
    yield SimpleNamespace(**{name.rpartition("_")[2]: import_module(name) for name in names})
    for name in names:
        del sys.modules[name]


class Operator(SimpleNamespace):
    """As much of an operator as a policy looks at."""


class BaseSensorOperator(Operator):
    """Airflow's base of what waits."""


def task(kind: type = Operator, **changes: Any) -> Any:
    plan = {"task_id": "load", "dag_id": "sales", "retries": 2, "execution_timeout": None, "executor_config": {}}
    return kind(**{**plan, **changes})


def override(**spec: Any) -> dict[str, Any]:
    return {"pod_override": k8s.V1Pod(spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base")], **spec))}


def test_a18_a_task_without_a_bound_gets_one(image: Any) -> None:
    image.settings.task_policy(given := task())
    assert given.execution_timeout == timedelta(hours=6)


@pytest.mark.parametrize(
    "what",
    [{"kind": BaseSensorOperator}, {"deferrable": True}, {"operator_class": BaseSensorOperator}, {"partial_kwargs": {"deferrable": True}}],
)
def test_what_waits_keeps_its_own_timeout(image: Any, what: dict[str, Any]) -> None:
    image.settings.task_policy(given := task(**what))
    assert given.execution_timeout is None


def test_an_authors_choice_stays(image: Any) -> None:
    image.settings.task_policy(given := task(retries=7, execution_timeout=timedelta(minutes=3)))
    assert (given.retries, given.execution_timeout) == (7, timedelta(minutes=3))


def test_a18_outside_of_the_stack_a_silent_task_gets_retries_too(image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__CORE__DEFAULT_TASK_RETRIES")
    image.settings.task_policy(given := task(retries=0))
    assert given.retries == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"retries": 0}, ["'load' of DAG 'sales'", "retries is 0", "at least 1", "on_demand()"]),
        ({"retries": None}, ["retries is 0"]),
        ({"executor_config": override(termination_grace_period_seconds=600)}, ["600", "at most 110", "on_demand()"]),
        ({"executor_config": override(node_selector={"lifecycle": "OnDemand"})}, ["stay pending", "on_demand()"]),
        ({"executor_config": override(node_selector={"eks.amazonaws.com/capacityType": "ON_DEMAND"})}, ["stay pending"]),
        ({"retries": 0, "executor_config": override(termination_grace_period_seconds=300)}, ["retries is 0", "300"]),
    ],
)
def test_a18_what_cannot_work_is_refused_with_the_way_out(image: Any, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(Refused) as refusal:
        image.settings.task_policy(task(**changes))
    assert [word for word in words if word not in str(refusal.value)] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"retries": 0, "inherits_from_empty_operator": True},
        {"executor_config": override(termination_grace_period_seconds=110)},
        {"executor_config": override(node_selector={"lifecycle": "Ec2Spot"})},
        {"executor_config": override(node_selector={"kubernetes.io/arch": "amd64"})},
        {"executor_config": {"pod_override": None}},
    ],
)
def test_what_can_work_is_not_refused(image: Any, changes: dict[str, Any]) -> None:
    image.settings.task_policy(task(**changes))


def test_b15_a_pinned_task_may_do_what_spot_forbids(image: Any) -> None:
    config = image.eks.on_demand(override(termination_grace_period_seconds=600)["pod_override"])
    image.settings.task_policy(task(retries=0, executor_config=config))
    with pytest.raises(Refused, match="chooses nodes as well"):
        image.settings.task_policy(task(executor_config=image.eks.on_demand(override(node_selector={"lifecycle": "x"})["pod_override"])))


def test_b15_on_demand_names_the_stacks_template(image: Any) -> None:
    file = f"{airflow_config.POD_TEMPLATES}/{airflow_config.ON_DEMAND_TEMPLATE_FILE}"
    assert image.eks.on_demand() == {"pod_template_file": file}


def test_image_and_stack_agree(image: Any) -> None:
    assert image.settings.NOTICE_ROOM_SECONDS == settings_rules_airflow.SPOT_NOTICE_ROOM
    assert (image.settings.LIFECYCLE, image.settings.SPOT) == (spot_pools.LIFECYCLE_LABEL, spot_pools.SPOT_LIFECYCLE)
    template = worker_pod.worker_pod(
        worker_pod.WorkerPod(release="r", config_map="c", dags_claim="d", logs_claim="l", cpu="1", memory="1Gi", grace_period_seconds=100)
    )
    tolerated = [{"key": item["key"], "value": item["value"]} for item in template["spec"]["tolerations"] if item["operator"] == "Equal"]
    assert tolerated == list(image.settings.TOLERATIONS)


def test_a15_a_pod_whose_override_replaced_the_affinity_still_goes_to_spot(image: Any) -> None:
    other = k8s.V1NodeSelectorRequirement(key="kubernetes.io/arch", operator="In", values=["amd64"])
    selector = k8s.V1NodeSelector(node_selector_terms=[k8s.V1NodeSelectorTerm(match_expressions=[other])])
    affinity = k8s.V1Affinity(node_affinity=k8s.V1NodeAffinity(required_during_scheduling_ignored_during_execution=selector))
    for given in (None, k8s.V1Affinity(pod_anti_affinity=k8s.V1PodAntiAffinity()), affinity):
        pod = override(affinity=given)["pod_override"]
        image.settings.pod_mutation_hook(pod)
        [term] = pod.spec.affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms
        assert (term.match_expressions[-1].key, term.match_expressions[-1].values) == ("lifecycle", ["Ec2Spot"])
        assert {toleration.key for toleration in pod.spec.tolerations} == {"spotInstance", "dedicated"}


@pytest.mark.parametrize("key", ["lifecycle", "karpenter.sh/capacity-type", "eks.amazonaws.com/nodegroup"])
def test_a_pod_with_a_capacity_choice_is_left_alone(image: Any, key: str) -> None:
    pod = override(node_selector={key: "anything"})["pod_override"]
    image.settings.pod_mutation_hook(pod)
    assert (pod.spec.affinity, pod.spec.tolerations) == (None, None)


def test_a20_no_new_pod_goes_to_a_node_that_is_lost(image: Any) -> None:
    image.silence.LOST.update({"b", "a"})
    chosen = {"node_selector": {"lifecycle": "Ec2Spot"}}
    for pod in (override()["pod_override"], override(**chosen)["pod_override"]):
        image.settings.pod_mutation_hook(pod)
        [term] = pod.spec.affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms
        assert [(field.key, field.operator, field.values) for field in term.match_fields] == [
            ("metadata.name", "NotIn", ["a"]),
            ("metadata.name", "NotIn", ["b"]),
        ]


def record(**changes: Any) -> Any:
    plan = {"state": "up_for_retry", "max_tries": 2, "task": SimpleNamespace(retries=2, dag=SimpleNamespace(fail_fast=False))}
    return SimpleNamespace(**{**plan, "retry_delay_override": None, "retry_reason": None, **changes})


def test_an_interruption_costs_no_retry_and_no_wait(image: Any) -> None:
    assert image.interruptions.forgive(given := record(), VANISHED, 5)
    assert (given.max_tries, given.retry_delay_override) == (3, 0.0)
    assert "interrupted" in given.retry_reason


def test_a_pod_that_dies_again_and_again_waits_and_is_forgiven_only_so_often(image: Any) -> None:
    given = record()
    waits = []
    while image.interruptions.forgive(given, VANISHED, 5):
        waits.append(given.retry_delay_override)
        given.retry_delay_override = None
    assert waits == [0.0, 0.0, None, None, None]
    assert given.max_tries == 7


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        (ValueError("the task's own"), {}),
        ("TaskInstance's state was manually set to `failed`.", {}),
        (VANISHED.replace("running", "queued"), {}),
        (VANISHED, {"task": None}),
        (VANISHED, {"executor": "KubernetesExecutor"}),
        (VANISHED, {"task": SimpleNamespace(retries=0)}),
    ],
)
def test_everything_else_counts(image: Any, error: Any, changes: dict[str, Any]) -> None:
    assert not image.interruptions.forgive(given := record(**changes), error, 5)
    assert given.max_tries == 2


def test_an_interrupted_last_try_is_not_the_last(image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    orm = ModuleType("sqlalchemy.orm")
    vars(orm)["object_session"] = lambda given: "session"
    monkeypatch.setitem(sys.modules, "sqlalchemy", ModuleType("sqlalchemy"))
    monkeypatch.setitem(sys.modules, "sqlalchemy.orm", orm)
    archived: list[str] = []
    given = record(state="failed", prepare_db_for_next_try=archived.append)
    image.interruptions.Listener().on_task_instance_failed("running", given, VANISHED)
    assert (given.state, given.max_tries, archived) == ("up_for_retry", 3, ["session"])
    stopped = record(state="failed", task=SimpleNamespace(retries=2, dag=SimpleNamespace(fail_fast=True)))
    assert not image.interruptions.forgive(stopped, VANISHED, 5)
