"""The price that the program itself makes, as it exports it. That it is the engine's plan's to the cent is the engine tier's to prove."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components import cost_report, stack_cost
from components.cost_estimate import estimate
from components.cost_prices import dated_prices
from components.planned import UNKNOWN, PlannedResource
from components.stack_cost import BudgetExceededError, StackCost, planned
from tests.conftest import Engine, run_program

Run = Callable[..., Engine]


def registered(engine: Engine) -> list[PlannedResource]:
    """What the program registered, with the control plane that pulumi-eks makes."""
    found = []
    for (kind, name), inputs in engine.resources.items():
        parent = engine.monitor.requests[kind, name].parent
        parent = "" if "::pulumi:pulumi:Stack::" in parent else parent.rpartition("::")[2]
        found.append(PlannedResource(type=kind, name=name, inputs=inputs, parent=parent))
    return [*found, PlannedResource(type="aws:eks/cluster:Cluster", name="airflow-eksCluster", parent="airflow")]


def comparable(table: dict[str, Any]) -> dict[str, Any]:
    """All of an exported table, whatever the order of registrations, but the children that only pulumi-eks knows."""
    items = sorted(({**item, "resources": sorted(item["resources"])} for item in table["items"]), key=lambda item: item["label"])
    return {**table, "items": items, "spot": sorted(table["spot"], key=str), "not_priced": None}


@pytest.mark.parametrize(("stack", "preview"), [("local", False), ("dev", False), ("staging", False), ("prod", False), ("prod", True)])
def test_a21_the_exported_price_is_that_of_everything_the_program_registered(run_main: Run, stack: str, preview: bool) -> None:
    engine = run_main(stack, preview=preview)
    wanted = cost_report.as_data(estimate(registered(engine), dated_prices("us-west-2")))
    assert comparable(engine.exports["cost_table"]) == comparable(wanted)


def test_a21_the_days_totals_say_region_currency_and_age_of_the_prices(run_main: Run) -> None:
    day = run_main("dev").exports["cost_per_day"]
    assert (day["region"], day["currency"], day["at_least"]) == ("us-west-2", "USD", False)
    assert 0 < day["with_spot"] < day["on_demand"]
    assert day["saving"] == pytest.approx(day["on_demand"] - day["with_spot"], abs=0.011)
    assert day["price_dates"] == ["2019-04-05", "2026-08-21"]


def two_nodes(monthly_usd: int, *, live: bool = False) -> Any:
    StackCost("eu-west-2", monthly_usd, live=live)
    parent = pulumi.ComponentResource("airflow-on-eks:index:Nodes", "lab")
    role = aws.iam.Role("role", assume_role_policy="{}", opts=pulumi.ResourceOptions(parent=parent))
    aws.eks.NodeGroup(
        "lab",
        cluster_name="lab",
        node_role_arn=role.arn,
        subnet_ids=["subnet-1"],
        instance_types=["m5.large"],
        scaling_config={"min_size": 2, "desired_size": 2, "max_size": 2},
        opts=pulumi.ResourceOptions(parent=parent),
    )


def test_c2_an_update_over_its_budget_registers_nothing_and_a_preview_shows_all_of_it(preview: bool, monkeypatch: Any) -> None:
    made: list[str] = []
    new_resource = Engine.new_resource
    monkeypatch.setattr(Engine, "new_resource", lambda self, args: (made.append(args.name), new_resource(self, args))[1])
    with pytest.raises(BudgetExceededError, match=r"at least 162\.06 USD a month .* Largest: Core nodes lab 162\.06") as caught:
        run_program(lambda: two_nodes(162), stack="dev", preview=preview)
    assert "budget.monthlyUsd" in str(caught.value)
    assert sorted(made) == (["lab", "lab", "role"] if preview else [])


@pytest.mark.parametrize("budget", [163, 0])
def test_a_plan_within_its_budget_is_registered(preview: bool, budget: int) -> None:
    assert ("aws:eks/nodeGroup:NodeGroup", "lab") in run_program(lambda: two_nodes(budget), stack="dev", preview=preview).resources


def test_what_only_aws_knows_is_unknown_and_the_rest_is_as_in_a_plan() -> None:
    pending: pulumi.Output[str] = pulumi.Output.from_input("later")
    props = {
        "subnet_ids": [pending],
        "role": pending,
        "absent": None,
        "block_device_mappings": [aws.ec2.LaunchTemplateBlockDeviceMappingArgs(device_name="/dev/xvda", ebs={"volume_size": 50})],
        "tags": {"kubernetes.io/role/elb": "1"},
    }
    [resource] = planned("aws:ec2/launchTemplate:LaunchTemplate", "template", props, "group")
    assert resource.inputs == {
        "subnetIds": [UNKNOWN],
        "role": UNKNOWN,
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 50}}],
        "tags": {"kubernetes.io/role/elb": "1"},
    }


def test_a_control_plane_made_by_another_package_is_counted() -> None:
    found = planned("eks:index:Cluster", "airflow", {}, "")
    assert [(one.type, one.name) for one in found][1:] == [("aws:eks/cluster:Cluster", "airflow-eksCluster")]
    assert stack_cost.MADE_ELSEWHERE.keys() == {"eks:index:Cluster"}


def test_a21_live_prices_count_for_the_budget_and_what_aws_did_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def over(self: Any, prices: Any, plan: Any) -> Any:
        dear = {key: replace(price, usd=price.usd * 10) for key, price in prices.on_demand.items()}
        return replace(prices, on_demand=dear), ("Spot prices: AWS refused (UnauthorizedOperation)",)

    told: list[str] = []
    monkeypatch.setattr("components.live_prices.LivePrices.over", over)
    monkeypatch.setattr(pulumi.log, "info", told.append)
    with pytest.raises(BudgetExceededError, match=r"1,6\d\d\.\d\d USD a month"):
        run_program(lambda: two_nodes(200, live=True), stack="dev", preview=False)
    run_program(lambda: two_nodes(200), stack="dev", preview=False)
    assert "price: Spot prices: AWS refused (UnauthorizedOperation)" in told
