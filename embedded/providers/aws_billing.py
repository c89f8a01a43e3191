"""Budgets in the embedded AWS provider. Cost allocation tags are missing: AWS activates what it has seen on a bill, and here is none."""

from __future__ import annotations

from embedded.providers.aws_table import Call, Context, Input, Kind, Values, simple_tags

ACCOUNT = {"AccountId": "{account}"}
BUDGET = ACCOUNT | {"BudgetName": "{name}"}
ARN = "arn:aws:budgets::{account}:budget/{name}"
BUDGET_TAGS = simple_tags(
    "TagResource", "UntagResource", {"ResourceARN": ARN}, name="ResourceTags", keys="ResourceTagKeys", read="ResourceTags"
)


def create_budget(context: Context) -> Values:
    """A budget with its notifications."""
    given = context.inputs
    budget = {
        "BudgetName": context["name"],
        "BudgetType": given["budgetType"],
        "TimeUnit": given["timeUnit"],
        "BudgetLimit": {"Amount": given["limitAmount"], "Unit": given["limitUnit"]},
        "CostFilters": {rule["name"]: rule["values"] for rule in given.get("costFilters") or []},
    }
    notifications = [
        {
            "Notification": {
                "NotificationType": one["notificationType"],
                "ComparisonOperator": one["comparisonOperator"],
                "Threshold": one["threshold"],
                "ThresholdType": one["thresholdType"],
            },
            "Subscribers": [{"SubscriptionType": "EMAIL", "Address": address} for address in one.get("subscriberEmailAddresses") or []],
        }
        for one in given.get("notifications") or []
    ]
    tags = BUDGET_TAGS.outgoing(given.get("tagsAll") or {})
    params = {"Budget": budget, "NotificationsWithSubscribers": notifications, "ResourceTags": tags}
    return context.ask("budgets", "CreateBudget", context.fill(ACCOUNT) | params)


def replace_budget(context: Context) -> None:
    """What has no history here may be made anew: moto cannot change a budget."""
    context.ask("budgets", "DeleteBudget", context.fill(BUDGET))
    create_budget(context)


def told(**more: str) -> Input:
    """A part of the budget that can be changed."""
    return Input(on_change="update", **more)  # type: ignore[arg-type]


BILLING: dict[str, Kind] = {
    "aws:budgets/budget:Budget": Kind(
        service="budgets",
        create=create_budget,
        id="{account}:{name}",
        read=Call("DescribeBudget", BUDGET),
        record="Budget",
        more=((Call("ListTagsForResource", {"ResourceARN": ARN}), "ResourceTags", "ResourceTags"),),
        update=replace_budget,
        delete=Call("DeleteBudget", BUDGET),
        name="name",
        tags=BUDGET_TAGS,
        outputs={"arn": f"={ARN}"},
        inputs={
            "name": Input(read="BudgetName"),
            "budgetType": Input(read="BudgetType", required=True),
            "timeUnit": Input(read="TimeUnit", on_change="update", required=True),
            "limitAmount": told(read="BudgetLimit.Amount"),
            "limitUnit": told(read="BudgetLimit.Unit"),
            "costFilters": told(),
            "notifications": told(),
        },
    ),
}
