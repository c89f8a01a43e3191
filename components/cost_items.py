"""A line of the estimate, and what it is made from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from components.cost_money import HOURS_PER_MONTH, UNKNOWN_MONEY, Money
from components.cost_prices import Price, Prices
from components.planned import PlannedResource


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Use that no plan says; each is printed with the estimate."""

    efs_gb: Decimal = Decimal(20)
    """Data on the shared file system: logs, and DAGs of the shared folder."""
    image_gb: Decimal = Decimal(5)
    """All images kept in the repository; one is about 0.8 GB compressed."""
    log_gb_per_group: Decimal = Decimal(2)
    """What each log group takes in, in a month."""
    nat_gb: Decimal = Decimal(50)
    """What goes through all NAT gateways together in a month."""
    endpoint_gb: Decimal = Decimal(10)
    """What goes through all interface endpoints together in a month."""
    load_balancer_lcu: Decimal = Decimal("0.1")
    """Average load of the web UI's load balancer; 1 would be a GB an hour."""
    log_archive_gb: Decimal = Decimal(20)
    """Data in each S3 bucket."""

    def lines(self) -> tuple[str, ...]:
        """All of them, as printed."""
        return (
            f"{HOURS_PER_MONTH} hours a month, every one of them running; a GiB of disk counted as a GB",
            f"shared file system {self.efs_gb} GB, all in Standard storage; each S3 bucket {self.log_archive_gb} GB",
            f"images {self.image_gb} GB; each log group {self.log_gb_per_group} GB a month, kept for its retention",
            f"NAT gateways {self.nat_gb} GB a month in all, interface endpoints {self.endpoint_gb} GB",
            f"load balancer {self.load_balancer_lcu} LCU on average",
            "a Spot group costs what its dearest type does, an On-Demand group what its first type does",
        )


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of the estimate."""

    label: str
    part: str
    """Part of the bill, as in the tag Component."""
    count: Decimal
    """How many there are when the stack is new."""
    unit: str
    each: Money
    """One of them for a month, as planned: at the Spot price if it is Spot."""
    each_on_demand: Money | None = None
    """The same bought On-Demand; None: there is no difference."""
    count_at_max: Decimal | None = None
    """How many there can be; None: always `count`."""
    group: str = ""
    """Node group that it is nodes of."""
    resources: tuple[str, ...]
    """Types and names of the planned resources in it."""
    basis: tuple[str, ...] = ()
    """Prices behind it, with their sources and what was assumed."""

    @property
    def spot(self) -> bool:
        """Whether it is bought as Spot."""
        return self.each_on_demand is not None

    @property
    def quantity(self) -> str:
        """How many of what."""
        count = f"{self.count.normalize():f}"
        return f"{count} {self.unit}" if self.unit == "GB" else f"{count} x {self.unit}"

    @property
    def cost(self) -> Money:
        """A month, as planned."""
        return self.each * self.count

    @property
    def on_demand(self) -> Money:
        """A month, with On-Demand nodes in place of Spot."""
        return (self.each_on_demand or self.each) * self.count

    @property
    def at_max(self) -> Item:
        """The same with as many as there can be."""
        count = self.count if self.count_at_max is None else self.count_at_max
        return replace(self, count=count, count_at_max=None)


@dataclass(frozen=True, kw_only=True)
class NotPriced:
    """A resource that adds nothing to the estimate."""

    resource: PlannedResource
    reason: str


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a resource's price may depend on besides itself."""

    plan: Sequence[PlannedResource]
    prices: Prices
    assumptions: Assumptions
    zones: int
    """Zones with a public subnet: an internet-facing load balancer has an address in each."""

    def price(self, item: str) -> tuple[Money, tuple[str, ...]]:
        """A service's price as money of one unit, and where it comes from."""
        return priced(self.prices.services.get(item), item)


def priced(price: Price | None, item: str) -> tuple[Money, tuple[str, ...]]:
    """A price as money, unknown if there is none, and the line that says where it comes from."""
    if price is None:
        return UNKNOWN_MONEY, (f"{item}: no price known",)
    return Money(price.usd), (f"{item}: {price.usd.normalize():f} {price.source}{f' ({price.assumed})' if price.assumed else ''}",)


Pricer = Callable[[Sequence[PlannedResource], Context], Iterable[Item | NotPriced]]
"""Prices all resources of one type together."""


def number(value: Any) -> Decimal | None:
    """A number of the plan, which arrives as a float or as text; None if it is not known."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found.normalize() if found.is_finite() and found >= 0 else None


def names(resources: Iterable[PlannedResource]) -> tuple[str, ...]:
    """How an item names its resources."""
    return tuple(f"{resource.type} {resource.name}" for resource in resources)
