"""The budget and the tags it tells stacks apart by. That AWS sends the mail only AWS can prove."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from components.cost_budget import CostBudget, CostBudgetArgs
from tests.conftest import Engine

Build = Callable[[Callable[[], Any]], Engine]
BUDGET = ("aws:budgets/budget:Budget", "airflow-monthly")


def args(tags: dict[str, str], **changes: Any) -> CostBudgetArgs:
    return CostBudgetArgs(**{"monthly_usd": 500, "email": "team@example.com", "activate_cost_tags": False, "tags": tags, **changes})


def test_c2_a_mail_is_sent_at_80_percent_billed_and_at_100_percent_forecast(build: Build, tags: dict[str, str]) -> None:
    budget = build(lambda: CostBudget("airflow", args(tags))).resources[BUDGET]
    assert (budget["limitAmount"], budget["limitUnit"], budget["timeUnit"]) == ("500", "USD", "MONTHLY")
    alerts = {(alert["notificationType"], alert["threshold"], *alert["subscriberEmailAddresses"]) for alert in budget["notifications"]}
    assert alerts == {("ACTUAL", 80, "team@example.com"), ("FORECASTED", 100, "team@example.com")}
    assert "costFilters" not in budget, "a filter by tags that are not active would match nothing, and never tell"


def test_with_active_tags_the_budget_is_the_stacks_own(build: Build, tags: dict[str, str]) -> None:
    engine = build(lambda: CostBudget("airflow", args(tags, activate_cost_tags=True)))
    assert engine.resources[BUDGET]["costFilters"] == [{"name": "TagKeyValue", "values": ["user:Stack$dev"]}]
    activated = engine.of_type("aws:costexplorer/costAllocationTag:CostAllocationTag")
    assert {tag["tagKey"] for tag in activated.values()} == {*tags, "Component", "CapacityType"}
    assert engine.request("aws:costexplorer/costAllocationTag:CostAllocationTag", "airflow-tag-Stack").retainOnDelete


def test_without_an_address_there_is_no_budget(build: Build, tags: dict[str, str]) -> None:
    assert build(lambda: CostBudget("airflow", args(tags, email=None))).children == set()
