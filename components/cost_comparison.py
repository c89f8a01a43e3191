"""Two estimates side by side, and the same workers on Amazon MWAA. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from components.cost_estimate import CostEstimate
from components.cost_items import Item
from components.cost_money import HOURS_PER_DAY, HOURS_PER_MONTH, UNKNOWN_MONEY, Money
from components.cost_prices import SHAPES, Prices

MWAA_VCPUS = {"small": 1, "medium": 2, "large": 4}
"""vCPU of a worker of each environment class (MWAA user guide, environment classes); it has 2 GB of memory for each."""
MWAA_DATABASE_GB = 10
ON_BOTH_SIDES = ("network",)
"""Parts of the bill that MWAA in private subnets needs just the same."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a comparison."""

    label: str
    first: Money
    second: Money


def compare(first: CostEstimate, second: CostEstimate) -> tuple[Row, ...]:
    """A month of each line of either estimate; lines that only one of them has are nothing in the other."""
    sides = [_by_label(costs) for costs in (first, second)]
    return tuple(
        Row(label=label, first=sides[0].get(label, Money()), second=sides[1].get(label, Money()))
        for label in dict.fromkeys([*sides[0], *sides[1]])
    )


@dataclass(frozen=True, kw_only=True)
class MwaaComparison:
    """This stack and MWAA with the same number of workers, for the same hours."""

    workers: int
    environment_class: str
    ours: Money
    mwaa: Money
    ours_per_worker: Money
    mwaa_per_worker: Money
    cheaper_from: int | None
    """Fewest workers with which this stack is not dearer: the break-even; None: it always is, or a price is unknown."""
    cheaper_up_to: int | None
    """Most workers with which it is not; None: there is no end to it."""
    assumptions: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """For which numbers of workers this stack is not dearer."""
        if not (self.ours.complete and self.mwaa.complete):
            return "no break-even can be given: a price is unknown"
        if self.cheaper_from is None:
            return "dearer with any number of workers"
        end = f"up to {self.cheaper_up_to}" if self.cheaper_up_to else "on"
        return f"not dearer from {self.cheaper_from} worker(s) {end}"


def with_mwaa(
    costs: CostEstimate,
    *,
    workers: int,
    hours_per_day: Decimal | int = HOURS_PER_DAY,
    environment_class: str | None = None,
) -> MwaaComparison:
    """Compare with MWAA: as many workers, of as many vCPU, for as many hours.

    Raises:
        ValueError: no Spot group to take workers from, a number that makes no sense, or a class that is not known.
    """
    nodes = next((item for item in costs.items if item.spot), None)
    hours = Decimal(hours_per_day)
    if nodes is None or workers < 1 or not 0 < hours <= HOURS_PER_DAY:
        raise ValueError(
            f"cannot compare {workers} workers for {hours_per_day} hours a day: give a Spot group, 1 or more workers, 1 to 24 hours"
        )
    chosen = environment_class or _class_for(nodes.unit)
    if chosen not in MWAA_VCPUS:
        raise ValueError(f"unknown MWAA environment class {chosen}: give {', '.join(MWAA_VCPUS)}")
    per_node = [item for item in costs.items if item.group == nodes.group]
    running = hours / HOURS_PER_DAY
    ours_each = Money.sum(item.each for item in per_node) * running
    base = Money.sum(item.cost for item in costs.items if not item.group or not _is_worker(item, costs))
    network = Money.sum(item.cost for item in costs.items if item.part in ON_BOTH_SIDES)
    environment, mwaa_each = (_hourly(costs.prices, f"mwaa {chosen}{kind}") for kind in ("", " worker"))
    shape = SHAPES.get(nodes.unit)
    sizes = f"{nodes.unit} ({shape.vcpus} vCPU, {shape.memory_gib} GiB)" if shape else nodes.unit
    if shape and shape.vcpus != MWAA_VCPUS[chosen]:
        sizes += ", NOT the same size"
    database = costs.prices.services.get("mwaa database")
    stored = Money(database.usd * MWAA_DATABASE_GB) if database else UNKNOWN_MONEY
    mwaa_each = mwaa_each * running
    fixed = environment + stored + network
    fewest, most = _range(base, ours_each, fixed, mwaa_each)
    return MwaaComparison(
        workers=workers,
        environment_class=chosen,
        ours=base + ours_each * workers,
        mwaa=fixed + mwaa_each * (workers - 1),
        ours_per_worker=ours_each,
        mwaa_per_worker=mwaa_each,
        cheaper_from=fewest,
        cheaper_up_to=most,
        assumptions=(
            f"a worker here is a Spot node {sizes} with its disk; on MWAA a {chosen} worker, "
            f"{MWAA_VCPUS[chosen]} vCPU and {2 * MWAA_VCPUS[chosen]} GB",
            f"workers run {hours:f} of 24 hours a day on both sides; MWAA's environment has its first worker always, in its price",
            f"NAT, addresses and endpoints are on both sides; MWAA's database holds {MWAA_DATABASE_GB} GB",
            "Spot workers may be interrupted and repeat work, MWAA's are not; no discounts on either side",
            "not counted: the work of running Airflow yourself, and what MWAA does not let you choose (versions, executor, image, network)",
        ),
    )


def _range(base: Money, each: Money, mwaa_base: Money, mwaa_each: Money) -> tuple[int | None, int | None]:
    # ours - theirs = (base - mwaa_base + mwaa_each) + workers * (each - mwaa_each): the environment's price has its first worker
    if not all(money.complete for money in (base, each, mwaa_base, mwaa_each)):
        return None, None
    offset, slope = base.usd - mwaa_base.usd + mwaa_each.usd, each.usd - mwaa_each.usd
    if slope < 0:
        return max(1, int((offset / -slope).to_integral_value(ROUND_CEILING))), None
    if offset + slope > 0:
        return None, None
    return 1, int((-offset / slope).to_integral_value(ROUND_FLOOR)) if slope else None


def _is_worker(item: Item, costs: CostEstimate) -> bool:
    return any(other.spot and other.group == item.group for other in costs.items)


def _class_for(instance_type: str) -> str:
    shape = SHAPES.get(instance_type)
    return next((name for name, vcpus in MWAA_VCPUS.items() if shape and vcpus == shape.vcpus), f"for {instance_type}")


def _hourly(prices: Prices, item: str) -> Money:
    price = prices.services.get(item)
    return Money(price.usd * HOURS_PER_MONTH) if price else UNKNOWN_MONEY


def _by_label(costs: CostEstimate) -> Mapping[str, Money]:
    found: dict[str, Money] = {}
    for item in costs.items:
        found[item.label] = found.get(item.label, Money()) + item.cost
    return found
