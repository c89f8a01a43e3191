"""What the stack costs, read off the program as it declares its resources: exported, and within the budget before anything is made.

Every resource is noted when its constructor runs. The price is made once the program has declared all of them, and the first registration
waits for it, so that a plan over its budget changes nothing, previewed or not. Only what is known without AWS counts: number, type and size
of what is billed are plain settings in this program, and a value that is not is unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from functools import cached_property
from inspect import isawaitable
from typing import Any

import pulumi
from pulumi import _types
from pulumi.runtime import register_stack_transformation

from components import cost_report
from components.cost_estimate import NO_BUDGET, CostEstimate, estimate, over_budget
from components.cost_prices import dated_prices
from components.live_prices import LivePrices
from components.planned import UNKNOWN, PlannedResource
from components.settings_parser import camel

MADE_ELSEWHERE = {"eks:index:Cluster": {"aws:eks/cluster:Cluster": "{name}-eksCluster"}}
"""Components that another package makes, out of this program's sight: type and name of each child that is billed."""


class BudgetExceededError(pulumi.RunError):
    """The plan is dearer than its budget; the message names its largest items."""


class StackCost:
    """The price of everything that is declared after it was made; it must be the program's first."""

    per_day: pulumi.Output[dict[str, Any]]
    """Totals of a day: with Spot, all On-Demand, saving, and what they mean (`cost_report.day`)."""
    table: pulumi.Output[dict[str, Any]]
    """The whole estimate as data (`cost_report.as_data`)."""

    def __init__(self, region: str, monthly_usd: int, *, live: bool = False) -> None:
        self._region = region
        self._live = live
        self._monthly_usd = monthly_usd
        self._declared: list[PlannedResource] = []
        self._resources: list[pulumi.Resource] = []
        allowed: Awaitable[list[pulumi.Resource]] = self._allowed()
        self._start: pulumi.Output[list[pulumi.Resource]] = pulumi.Output.from_input(allowed)
        data: Awaitable[dict[str, Any]] = self._data()
        self.table = pulumi.Output.from_input(data)
        self.per_day = self.table.apply(cost_report.day)
        register_stack_transformation(self._note)

    def _note(self, declared: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        parent = declared.opts.parent
        self._declared += planned(declared.type_, declared.name, declared.props, "" if parent is None else parent._name)
        self._resources.append(declared.resource)
        if parent is not None:
            return None  # waits for its parent anyway
        opts = pulumi.ResourceOptions.merge(declared.opts, pulumi.ResourceOptions(depends_on=self._start))
        return pulumi.ResourceTransformationResult(declared.props, opts)

    @cached_property
    def _costs(self) -> CostEstimate:
        # asked for by tasks, which run when the program's last line has run: the event loop is not asked before
        prices = dated_prices(self._region)
        if self._live:
            prices, problems = LivePrices(self._region).over(prices, self._declared)
            for problem in problems:
                pulumi.log.info(f"price: {problem}")
        return estimate(self._declared, prices)

    @cached_property
    def _too_dear(self) -> BudgetExceededError | None:
        reason = None if self._monthly_usd == NO_BUDGET else over_budget(self._costs, self._monthly_usd)
        return BudgetExceededError(f"{reason}. Nothing was changed: raise the budget, or plan less") if reason else None

    async def _allowed(self) -> list[pulumi.Resource]:
        if self._too_dear and not pulumi.runtime.is_dry_run():
            raise self._too_dear
        return []

    async def _data(self) -> dict[str, Any]:
        pulumi.log.info(cost_report.table(self._costs))
        if self._too_dear and pulumi.runtime.is_dry_run():
            await asyncio.gather(*(resource.urn.future() for resource in self._resources))  # a preview shows all of the plan, then fails
        if self._too_dear:
            raise self._too_dear
        return cost_report.as_data(self._costs)


def planned(kind: str, name: str, props: Mapping[str, Any], parent: str) -> list[PlannedResource]:
    """A declared resource as the plan will have it, with the billed children of a component that another package makes."""
    inputs = {key: value for key, value in _as_in_plan(props).items() if value is not None}
    made = MADE_ELSEWHERE.get(kind, {})
    children = [PlannedResource(type=child, name=pattern.format(name=name), parent=name) for child, pattern in made.items()]
    return [PlannedResource(type=kind, name=name, inputs=inputs, parent=parent), *children]


def _as_in_plan(value: Any) -> Any:
    if isinstance(value, pulumi.Output) or isawaitable(value):
        return UNKNOWN
    if _types.is_input_type(type(value)):
        value = _types.input_type_to_untranslated_dict(value)
    if isinstance(value, Mapping):
        return {camel(str(key)): _as_in_plan(item) for key, item in value.items()}
    return [_as_in_plan(item) for item in value] if isinstance(value, list | tuple) else value
