"""The arithmetic of amounts of which a part may be unknown."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from components.cost_money import UNKNOWN_MONEY, Money

amounts = st.builds(Money, st.decimals(0, 100_000, places=4), st.booleans())


def test_an_hourly_price_is_paid_730_times_a_month_and_24_times_a_day():
    price = Money.hourly(Decimal("0.111")) * 2
    assert (price.per("hour"), price.per("day"), price.per("month")) == (Decimal("0.222"), Decimal("5.328"), Decimal("162.06"))


def test_an_unknown_price_is_never_shown_as_zero():
    assert UNKNOWN_MONEY.text("month") == "unknown"
    assert UNKNOWN_MONEY.cents("month") is None
    assert (UNKNOWN_MONEY + Money(Decimal(5))).text("month") == ">=5.00"


def test_half_a_cent_is_rounded_up():
    assert Money(Decimal("1.005")).text("month") == "1.01"
    assert Money(Decimal("1.0049")).text("month") == "1.00"
    assert Money(Decimal("1234567.891")).text("month") == "1,234,567.89"


def test_nothing_of_something_unknown_costs_nothing():
    assert (UNKNOWN_MONEY * 0).text("month") == "0.00"
    assert (UNKNOWN_MONEY * 3).unknown


@given(first=amounts, second=amounts, third=amounts)
def test_sums_do_not_depend_on_their_order(first, second, third):
    assert (first + second) + third == first + (second + third) == (third + first) + second
    assert first + Money() == first
    assert Money.sum([first, second, third]) == first + second + third


@given(amount=amounts, count=st.integers(1, 1000))
def test_a_sum_is_complete_only_if_all_of_it_is(amount, count):
    assert (amount * count).complete == amount.complete
    assert (amount + UNKNOWN_MONEY).complete is False
    assert (amount * count).usd == sum([amount.usd] * count)


@given(amount=amounts)
def test_day_and_month_are_the_same_hours(amount):
    assert abs(amount.per("hour") * 24 - amount.per("day")) < Decimal("1e-18")
    assert amount.per("month") == amount.usd


@given(parts=st.lists(amounts, max_size=40))
def test_rounded_parts_differ_from_the_rounded_sum_by_less_than_half_a_cent_each(parts):
    shown = sum((part.cents("day") or Decimal(0) for part in parts), Decimal(0))
    total = Money.sum(parts).cents("day") or Decimal(0)
    assert abs(total - shown) <= Decimal("0.005") * (len(parts) + 1)
