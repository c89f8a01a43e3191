"""The cost split as the report shows it: every figure rounded so that the parts of a sum add up to it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

from components.cost_estimate import CostEstimate
from components.cost_items import Item
from components.cost_money import CENT, Money

PARTS = {
    "cluster": "Control plane, logs, keys",
    "core": "Core nodes",
    "workers": "Worker nodes",
    "network": "Network",
    "web": "Load balancer",
    "database": "Database",
    "storage": "File system",
    "registry": "Image registry",
}
"""Parts of the bill, as in the tag Component, in words; a part that is not here keeps its name."""


def to_the_cent(amounts: Sequence[Decimal]) -> list[Decimal]:
    """Amounts rounded so that they add up to their rounded sum: the missing cents go to those that lost most by rounding down."""
    total = sum(amounts, Decimal(0)).quantize(CENT, ROUND_HALF_UP)
    rounded = [amount.quantize(CENT, ROUND_FLOOR) for amount in amounts]
    missing = int((total - sum(rounded, Decimal(0))) / CENT)
    for number in sorted(range(len(amounts)), key=lambda index: rounded[index] - amounts[index])[:missing]:
        rounded[number] += CENT
    return rounded


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the estimate, in US dollars a month."""

    label: str
    quantity: str
    planned: Decimal
    on_demand: Decimal
    known: bool
    """False: something in it has no known price, so the figures say "at least"."""
    basis: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the bill."""

    label: str
    lines: tuple[Line, ...]

    @property
    def planned(self) -> Decimal:
        """US dollars a month, Spot at Spot prices."""
        return sum((line.planned for line in self.lines), Decimal(0))

    @property
    def on_demand(self) -> Decimal:
        """US dollars a month, On-Demand nodes in place of Spot."""
        return sum((line.on_demand for line in self.lines), Decimal(0))

    @property
    def known(self) -> bool:
        """Whether every price in it is."""
        return all(line.known for line in self.lines)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What a month costs in one case, in three pieces that add up."""

    label: str
    spot: bool
    """Whether the workers are bought as Spot."""
    core: Decimal
    workers: Decimal
    rest: Decimal
    known: bool

    @property
    def total(self) -> Decimal:
        """The three together."""
        return self.core + self.workers + self.rest


@dataclass(frozen=True, kw_only=True)
class CostSplit:
    """The estimate as the report shows it."""

    parts: tuple[Part, ...]
    """Largest first."""
    scenarios: tuple[Scenario, ...]
    total: Decimal
    on_demand: Decimal
    known: bool
    saving: Decimal | None
    """None: a price of Spot is not known, so neither is this."""

    def share(self, amount: Decimal) -> Decimal:
        """Percent of the total."""
        return amount * 100 / self.total if self.total else Decimal(0)


def split(costs: CostEstimate) -> CostSplit:
    """The estimate by part of the bill, and what it is with and without Spot, as planned and at the maximum."""
    items = costs.items
    planned = to_the_cent([item.cost.usd for item in items])
    on_demand = to_the_cent([item.on_demand.usd for item in items])
    by_part: dict[str, list[Line]] = {}
    for item, with_spot, without in zip(items, planned, on_demand, strict=True):
        line = Line(
            label=item.label,
            quantity=item.quantity,
            planned=with_spot,
            on_demand=without,
            known=item.cost.complete and item.on_demand.complete,
            basis=item.basis,
        )
        by_part.setdefault(item.part, []).append(line)
    parts = [Part(label=PARTS.get(name, name), lines=tuple(lines)) for name, lines in by_part.items()]
    total, all_on_demand = sum(planned, Decimal(0)), sum(on_demand, Decimal(0))
    return CostSplit(
        parts=tuple(sorted(parts, key=lambda part: -part.planned)),
        scenarios=(*_scenarios("As planned", items), *_scenarios("At maximum size", costs.at_max.items)),
        total=total,
        on_demand=all_on_demand,
        known=costs.total.complete,
        saving=all_on_demand - total if costs.saving.complete else None,
    )


def _scenarios(label: str, items: Sequence[Item]) -> tuple[Scenario, Scenario]:
    def scenario(name: str, amounts: Sequence[Money], *, spot: bool) -> Scenario:
        sums = {"core": Decimal(0), "workers": Decimal(0), "rest": Decimal(0)}
        for item, amount in zip(items, amounts, strict=True):
            sums[item.part if item.part in sums else "rest"] += amount.usd
        core, workers, rest = to_the_cent(list(sums.values()))
        known = all(amount.complete for amount in amounts)
        return Scenario(label=f"{label}, {name}", spot=spot, core=core, workers=workers, rest=rest, known=known)

    return (
        scenario("workers on Spot", [item.cost for item in items], spot=True),
        scenario("all On-Demand", [item.on_demand for item in items], spot=False),
    )
