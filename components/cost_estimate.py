"""What a plan will cost before it is deployed: Spot beside On-Demand, what is in it and what is not. Pure.

`estimate` prices every resource of a plan or says why not; `over_budget` stops one that is too dear; `with_workers` asks "what if".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from components.cost_free import not_priced
from components.cost_items import Assumptions, Context, Item, NotPriced, names
from components.cost_money import UNKNOWN_MONEY, Money
from components.cost_nodes import NODE_GROUP, instance_types
from components.cost_prices import BANDS, CURRENCY, EC2, SHAPES, SOURCES, WORST_BAND, Prices
from components.cost_resources import PRICED
from components.planned import PlannedResource

ZONES = 3
"""Zones of a network that is not part of the plan."""
CANDIDATES = 3
NO_BUDGET = 0
"""Of `budget.monthlyUsd`: nothing is compared."""
BUDGET_SETTING = "(setting budget.monthlyUsd)"
"""In every message about a plan that is too dear."""
SUBNET = "aws:ec2/subnet:Subnet"


@dataclass(frozen=True, kw_only=True)
class SpotPool:
    """An instance type of a Spot group."""

    group: str
    instance_type: str
    spot: Decimal | None
    """Price of an hour."""
    on_demand: Decimal | None
    band: str | None
    """How often it was interrupted; None: not known."""
    source: str
    date: str
    """When the Spot price was true."""

    @property
    def saving_percent(self) -> Decimal | None:
        """What Spot saves, in whole percents."""
        if self.spot is None or not self.on_demand:
            return None
        return ((1 - self.spot / self.on_demand) * 100).quantize(Decimal(1), ROUND_HALF_UP)


@dataclass(frozen=True, kw_only=True)
class CostEstimate:
    """A priced plan."""

    prices: Prices
    items: tuple[Item, ...]
    skipped: tuple[NotPriced, ...]
    unlisted: tuple[PlannedResource, ...]
    """Of types that nobody has decided about; each is also an item of unknown price."""
    pools: tuple[SpotPool, ...]
    warnings: tuple[str, ...]
    assumptions: Assumptions

    @property
    def total(self) -> Money:
        """A month as planned: every group at its desired size, Spot at Spot prices."""
        return Money.sum(item.cost for item in self.items)

    @property
    def on_demand(self) -> Money:
        """A month with On-Demand nodes in place of Spot."""
        return Money.sum(item.on_demand for item in self.items)

    @property
    def saving(self) -> Money:
        """What Spot saves in a month; what has no price is the same on both sides, unless it is Spot itself."""
        spot = [item for item in self.items if item.spot]
        return Money(
            sum((item.on_demand.usd - item.cost.usd for item in spot), Decimal(0)),
            all(item.cost.complete and item.on_demand.complete for item in spot),
        )

    @property
    def at_max(self) -> CostEstimate:
        """The same plan once every node group has grown to its maximum."""
        return replace(self, items=tuple(item.at_max for item in self.items))

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources that the items and the Spot pools refer to."""
        used = " ".join(line for item in self.items for line in item.basis) + " ".join(pool.source for pool in self.pools)
        return tuple(f"[{key}] {source}" for key, source in SOURCES.items() if f"[{key}]" in used)

    @property
    def price_dates(self) -> tuple[str, ...]:
        """The oldest and the newest date of the prices that were used; a source without a date counts for neither."""
        said = " ".join([*self.sources, *(line for item in self.items for line in item.basis), *(pool.date for pool in self.pools)])
        dates = sorted(re.findall(r"\b20\d\d-\d\d-\d\d\b", said))
        return (dates[0], dates[-1]) if dates else ()

    def share(self, item: Item) -> Decimal:
        """Percent of the known total."""
        return item.cost.usd * 100 / self.total.usd if self.total.usd else Decimal(0)

    def by_part(self) -> dict[str, Money]:
        """Sum of each part of the bill, largest first."""
        parts: dict[str, Money] = defaultdict(Money)
        for item in self.items:
            parts[item.part] += item.cost
        return dict(sorted(parts.items(), key=lambda part: -part[1].usd))

    def reasons(self) -> dict[str, tuple[NotPriced, ...]]:
        """What has no price of its own, by reason."""
        found: dict[str, list[NotPriced]] = defaultdict(list)
        for one in self.skipped:
            found[one.reason].append(one)
        return {reason: tuple(ones) for reason, ones in sorted(found.items(), key=lambda each: -len(each[1]))}


def estimate(plan: Sequence[PlannedResource], prices: Prices, assumptions: Assumptions | None = None) -> CostEstimate:
    """Price every resource of a plan, or say why it has no price."""
    assumptions = assumptions or Assumptions()
    public = sum(1 for one in plan if one.type == SUBNET and "kubernetes.io/role/elb" in (one.inputs.get("tags") or {}))
    context = Context(plan=plan, prices=prices, assumptions=assumptions, zones=public or ZONES)
    by_type: dict[str, list[PlannedResource]] = defaultdict(list)
    for resource in plan:
        by_type[resource.type].append(resource)
    items: list[Item] = []
    skipped: list[NotPriced] = []
    for resource_type, pricer in PRICED.items():
        if resources := by_type.pop(resource_type, []):
            for found in pricer(resources, context):
                if isinstance(found, Item):
                    items.append(found)
                else:
                    skipped.append(found)
    unlisted: list[PlannedResource] = []
    for resource_type, resources in by_type.items():
        if reason := not_priced(resource_type):
            skipped += [NotPriced(resource=resource, reason=reason) for resource in resources]
        else:
            unlisted += resources
            items.append(_unlisted(resource_type, resources))
    pools = tuple(
        pool for one in plan if one.type == NODE_GROUP and one.inputs.get("capacityType") == "SPOT" for pool in _pools(one, prices)
    )
    return CostEstimate(
        prices=prices,
        items=tuple(items),
        skipped=tuple(skipped),
        unlisted=tuple(unlisted),
        pools=pools,
        warnings=tuple(_warnings(prices, pools)),
        assumptions=assumptions,
    )


def over_budget(costs: CostEstimate, monthly_usd: Decimal | int | float | str) -> str | None:
    """Why a plan exceeds its budget, with its largest items; None if it does not, as far as prices are known.

    Raises:
        ValueError: the budget is no positive amount.
    """
    try:
        budget = Decimal(str(monthly_usd))
    except ArithmeticError:
        budget = Decimal("NaN")
    if not budget.is_finite() or budget <= 0:
        raise ValueError(f"budget.monthlyUsd must be a positive amount of US dollars, got {monthly_usd!r}; leave it out for no budget")
    if costs.total.usd <= budget:
        return None
    largest = sorted(costs.items, key=lambda item: -item.cost.usd)[:3]
    named = ", ".join(f"{item.label} {item.cost.text('month')} ({item.quantity})" for item in largest)
    least = "" if costs.total.complete else "at least "
    return (
        f"the plan costs {least}{costs.total.cents('month'):,} {CURRENCY} a month in {costs.prices.region}, "
        f"{Money(costs.total.usd - budget).cents('month'):,} more than the budget of {budget:,.2f} {BUDGET_SETTING}. "
        f"Largest: {named}. With every node group at its maximum it would be {costs.at_max.total.text('month')}"
    )


def with_workers(plan: Sequence[PlannedResource], workers: int) -> list[PlannedResource]:
    """The same plan with that many Spot workers, spread evenly over the Spot groups; a maximum that is too low grows with them.

    Raises:
        ValueError: a negative number, or the plan has no Spot group.
    """
    groups = [one for one in plan if one.type == NODE_GROUP and one.inputs.get("capacityType") == "SPOT"]
    if workers < 0 or not groups:
        raise ValueError(f"cannot plan {workers} Spot workers: " + ("give 0 or more" if groups else "the plan has no Spot node group"))
    sizes = {id(group): workers // len(groups) + (number < workers % len(groups)) for number, group in enumerate(groups)}
    return [_resized(one, sizes[id(one)]) if id(one) in sizes else one for one in plan]


def _resized(group: PlannedResource, size: int) -> PlannedResource:
    scaling: Mapping[str, Any] = group.inputs.get("scalingConfig") or {}
    sized = {**scaling, "desiredSize": size, "maxSize": max(size, scaling.get("maxSize") or size)}
    return replace(group, inputs={**group.inputs, "scalingConfig": sized})


def _unlisted(resource_type: str, resources: Sequence[PlannedResource]) -> Item:
    return Item(
        label=resource_type,
        part="other",
        count=Decimal(len(resources)),
        unit="resource",
        each=UNKNOWN_MONEY,
        resources=names(resources),
        basis=(f"{resource_type}: this type is in neither list of the cost table",),
    )


def _pools(group: PlannedResource, prices: Prices) -> list[SpotPool]:
    given = group.inputs.get("nodeGroupName")
    pools = []
    for name in instance_types(group):
        spot, on_demand, advice = prices.spot.get(name), prices.on_demand.get(name), prices.advice.get(name)
        pools.append(
            SpotPool(
                group=given if isinstance(given, str) else group.name,
                instance_type=name,
                spot=spot.usd if spot else None,
                on_demand=on_demand.usd if on_demand else None,
                band=BANDS[advice.band] if advice else None,
                source=spot.source if spot else "no price known",
                date=spot.date if spot else "",
            )
        )
    return pools


def _warnings(prices: Prices, pools: Sequence[SpotPool]) -> list[str]:
    found = []
    if not prices.on_demand:
        found.append(f"no instance prices are known for {prices.region}: the table has {', '.join(sorted(EC2))}; ask AWS for live ones")
    for pool in pools:
        where = f"{pool.group}: {pool.instance_type}"
        if pool.spot is None and prices.on_demand:
            found.append(f"{where} has no Spot price known in {prices.region}, so the group may cost more than shown")
        if pool.band == BANDS[WORST_BAND]:
            used = {other.instance_type for other in pools if other.group == pool.group}
            better = better_types(pool.instance_type, used, prices)
            advice = f"better of the same shape: {better}" if better else "no better type of its shape is in the table"
            found.append(f"{where} is in the worst band of interruptions ({pool.band} in a month); {advice}")
    return found


def better_types(instance_type: str, used: set[str], prices: Prices) -> str:
    """Types of the same shape that are interrupted less often, the best first; empty if none is known."""
    shape, advice = SHAPES.get(instance_type), prices.advice.get(instance_type)
    if shape is None or advice is None:
        return ""
    candidates = [
        (other.band, prices.spot[name].usd, name)
        for name, other in prices.advice.items()
        if name not in used and SHAPES.get(name) == shape and other.band < advice.band and name in prices.spot
    ]
    return ", ".join(f"{name} ({BANDS[band]}, {usd:.4f} an hour)" for band, usd, name in sorted(candidates)[:CANDIDATES])
