"""AWS's own watch on the bill: a budget of the month with alerts by mail, and the activation of the stack's tags in billing.

`budget.monthlyUsd` alone stops plans; this sees what was really billed, hours later. AWS tells stacks apart in its bill only by cost
allocation tags: until they are active, the budget counts the whole account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.cost_tags import component_tags
from components.settings import Settings
from components.stack_cost import StackCost

ALERTS = (("ACTUAL", 80), ("FORECASTED", 100))
"""What is compared with the budget, and from which percentage a mail is sent."""


@dataclass(frozen=True, kw_only=True)
class CostBudgetArgs:
    """Whom to tell, from which amount on."""

    monthly_usd: int
    email: str | None
    """None: no budget in AWS."""
    activate_cost_tags: bool
    """Only once AWS has seen the tags on a bill, a day after the first `up`, and in the account that pays."""
    tags: Mapping[str, str]


class CostBudget(pulumi.ComponentResource):
    """Budget `{name}-monthly` when there is an address, and `{name}-tag-KEY` for each tag to activate."""

    budget_name: pulumi.Output[str | None]
    """In AWS; None without one."""

    def __init__(self, name: str, args: CostBudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:CostBudget", name, None, opts)
        tags = component_tags(args.tags, "cost")
        active = self._activate(name, tags) if args.activate_cost_tags else []
        self.budget_name = pulumi.Output.from_input(None)
        if args.email is not None:
            self.budget_name = self._budget(name, args.email, args, tags, active)
        self.register_outputs({"budget_name": self.budget_name})

    def _activate(self, name: str, tags: Mapping[str, str]) -> list[aws.costexplorer.CostAllocationTag]:
        # kept when the stack goes: another stack's tags have the same keys, and history is told apart by them
        opts = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        return [aws.costexplorer.CostAllocationTag(f"{name}-tag-{key}", tag_key=key, status="Active", opts=opts) for key in sorted(tags)]

    def _budget(
        self, name: str, email: str, args: CostBudgetArgs, tags: Mapping[str, str], active: list[aws.costexplorer.CostAllocationTag]
    ) -> pulumi.Output[str | None]:
        budget = aws.budgets.Budget(
            f"{name}-monthly",
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(args.monthly_usd),
            limit_unit="USD",
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:Stack${tags['Stack']}"]}] if active else None,
            notifications=[
                {
                    "comparison_operator": "GREATER_THAN",
                    "notification_type": kind,
                    "threshold": percent,
                    "threshold_type": "PERCENTAGE",
                    "subscriber_email_addresses": [email],
                }
                for kind, percent in ALERTS
            ],
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=active),
        )
        return budget.name.apply(str)


def watched_cost(settings: Settings, tags: Mapping[str, str]) -> StackCost:
    """The price of all that is declared from here on, kept to the budget before and watched by AWS afterwards."""
    cost = StackCost(settings.region, settings.budget.monthly_usd, live=settings.prices == "live")
    CostBudget("airflow-budget", CostBudgetArgs(**vars(settings.budget), tags=tags))
    return cost
