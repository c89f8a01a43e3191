"""The plan of every shipped stack, as the real engine makes it: priced, placed, within its budget, and what policies say (rows A21, C4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pulumi import automation as auto

from components import cost_report, placement
from components.cost_prices import dated_prices
from components.planned_values import readable_plan
from embedded.cloud import PROJECT
from embedded.engine import Progress, shipped_stacks
from embedded.plan import StackPlan, preview
from operations import cost_questions
from operations.cost_questions import PricedStack
from policies.check import render
from tests.engine.conftest import Engine, Preview


def planned(engine: Engine, name: str, settings: dict[str, Any] | None = None) -> StackPlan:
    return preview(engine.cloud, engine.stack(name, settings=settings), Progress(preview=True, quiet=True))


def comparable(table: dict[str, Any]) -> dict[str, Any]:
    """All of an exported table, in an order of its own; free children of pulumi-eks, which the program does not see, left out."""
    items = sorted(({**item, "resources": sorted(item["resources"])} for item in table["items"]), key=lambda item: item["label"])
    return {**table, "items": items, "not_priced": table["not_priced"].keys()}


@pytest.mark.parametrize("name", shipped_stacks())
def test_every_shipped_stack_file_has_a_plan(engine: Engine, previewed: Callable[[str], Preview], name: str) -> None:
    progress, seconds = previewed(name).progress, previewed(name).seconds
    assert progress.counts["create"] > 80, progress.counts
    print(f"plan of {name}: {progress.counts['create']} resources in {seconds:.1f} s")
    assert seconds < 20, "a plan that takes longer is not asked for"
    assert engine.inventory() == {}, "a plan creates nothing"
    lacking = any("shortfall: web.certificateArn" in message for message in progress.messages)
    assert lacking is (name == "prod"), "a plan says what the account lacks for it, and goes on"


@pytest.mark.parametrize("name", shipped_stacks())
def test_every_shipped_stack_is_priced_and_placed(previewed: Callable[[str], Preview], name: str) -> None:
    progress, plan = previewed(name).progress, previewed(name).plan
    review = plan.review()
    assert comparable(progress.exports["cost_table"]) == comparable(cost_report.as_data(review.costs)), "the program knows its price"
    assert progress.exports["placement"] == placement.as_data(review.proof), "and where its pods can land"
    assert [resource.type for resource in review.costs.unlisted] == [], "every type of the plan has a price, or a reason for having none"
    assert review.costs.total.complete, "every price of a shipped stack is known"
    assert review.proof.problems == ()
    assert review.proof.undecided == ()
    assert {placed.pod.worker for placed in review.proof.placements if placed.possible and placed.group.spot} == {True}
    assert review.deployable
    priced = sum(len(item.resources) for item in review.costs.items)
    print(f"\n{name}: {len(plan.resources)} resources, {priced} priced, {len(review.costs.skipped)} not\n{review.verdict()}")
    print(render(plan.policy_report()))


def test_c2_an_up_over_its_budget_changes_nothing(engine: Engine) -> None:
    """The program refuses by itself, as it does with any other Pulumi command: nothing of the embedded cloud has a part in it."""
    stack = engine.stack("staging", settings={"airflow-on-eks:budget": {"monthlyUsd": 100}})
    with pytest.raises(auto.CommandError, match=r"Largest: Core nodes ng-on-demand .* EKS control plane .* Nothing was changed"):
        stack.up(suppress_progress=True)
    assert engine.inventory() == {}
    with pytest.raises(auto.CommandError, match=r"\(setting budget\.monthlyUsd\)"):
        stack.preview(suppress_progress=True)


def test_c4_a_first_preview_judges_workers_before_their_image_is_built_and_keeps_the_budget(engine: Engine) -> None:
    changes = {
        "airflow-on-eks:image": {"digest": ""},
        "airflow-on-eks:budget": {"monthlyUsd": 100},
        "airflow-on-eks:workers": {"fallback": "on-demand"},
    }
    review = planned(engine, "dev", changes).review()
    assert review.proof.undecided == ()
    assert review.placed
    workers = {placed.group.name for placed in review.proof.placements if placed.pod.worker and not placed.pod.pinned and placed.possible}
    assert workers == {"ng-spot1", "ng-overflow"}, "row B10"
    assert not review.deployable
    assert "(setting budget.monthlyUsd)" in str(review.budget)


def test_a_task_that_fits_no_spot_node_stops_the_plan(engine: Engine) -> None:
    review = planned(engine, "dev", {"airflow-on-eks:airflow": {"workerMemory": "32Gi"}}).review()
    assert not review.placed
    assert "fits no Spot node group" in " ".join(review.proof.problems)


def test_a24_the_documented_comparison_with_mwaa_is_of_the_stacks_as_shipped(engine: Engine) -> None:
    built = {"airflow-on-eks:image": {"digest": ""}}  # as shipped: the stack pays for the images it keeps
    stacks = [
        PricedStack(name=name, plan=readable_plan(planned(engine, name, built).resources), prices=dated_prices("us-west-2"))
        for name in cost_questions.DOCUMENTED
    ]
    document = (PROJECT / cost_questions.DOCUMENT).read_text()
    assert cost_questions.rewritten(document, stacks) == document, "run 'make cost-docs'"
