"""An amount of money a month of which a part may be unknown. Pure, and exact: nothing is rounded before it is shown.

A price that is not known is never taken as 0: the sum it goes into is marked, and shown as "at least".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

HOURS_PER_MONTH = Decimal(730)
"""8,760 hours a year over twelve months, as AWS's own calculator counts."""
HOURS_PER_DAY = Decimal(24)
HOURS = {"hour": Decimal(1), "day": HOURS_PER_DAY, "month": HOURS_PER_MONTH}
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Money:
    """US dollars a month."""

    usd: Decimal = Decimal(0)
    """The part that is known."""
    complete: bool = True
    """False if something in it has no known price."""

    @classmethod
    def hourly(cls, usd: Decimal) -> Money:
        """What an hourly price makes in a month."""
        return cls(usd * HOURS_PER_MONTH)

    @classmethod
    def sum(cls, amounts: Iterable[Money]) -> Money:
        """All of them together; nothing is 0."""
        total = cls()
        for amount in amounts:
            total += amount
        return total

    def __add__(self, other: Money) -> Money:
        return Money(self.usd + other.usd, self.complete and other.complete)

    def __mul__(self, factor: Decimal | int) -> Money:
        # none of something costs nothing, even if nobody knows its price
        return Money(self.usd * factor, self.complete) if factor else Money()

    @property
    def unknown(self) -> bool:
        """Nothing of it is known."""
        return not self.complete and not self.usd

    def per(self, period: str) -> Decimal:
        """The known part for an hour, a day or a month, unrounded."""
        return self.usd * HOURS[period] / HOURS_PER_MONTH

    def cents(self, period: str) -> Decimal | None:
        """Rounded to the cent, half up; None if nothing of it is known."""
        return None if self.unknown else self.per(period).quantize(CENT, ROUND_HALF_UP)

    def text(self, period: str, places: int = 2) -> str:
        """As a table shows it: `73.00`, `>=73.00` or `unknown`."""
        if self.unknown:
            return "unknown"
        figure = self.per(period).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        return f"{'' if self.complete else '>='}{figure:,}"


UNKNOWN_MONEY = Money(complete=False)
