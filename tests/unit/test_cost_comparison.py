"""Two estimates side by side, and MWAA."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cost_comparison import _range, compare, with_mwaa
from components.cost_estimate import estimate, with_workers
from components.cost_money import UNKNOWN_MONEY, Money
from components.cost_prices import dated_prices
from tests.unit.cost_plan import CORE, PLAN, PRODUCTION

OREGON = dated_prices("us-west-2")
DEV, PROD = estimate(PLAN, OREGON), estimate(PRODUCTION, OREGON)


def test_lines_that_one_side_lacks_are_nothing_there():
    rows = {row.label: row for row in compare(DEV, PROD)}
    assert rows["Overflow nodes ng-overflow"].second == Money()
    assert rows["NAT gateway"].second.usd == 3 * rows["NAT gateway"].first.usd


def test_the_columns_add_up_to_the_totals():
    rows = compare(DEV, PROD)
    assert Money.sum(row.first for row in rows) == DEV.total
    assert Money.sum(row.second for row in rows) == PROD.total


@given(workers=st.integers(1, 60), hours=st.integers(1, 24))
def test_our_side_of_the_mwaa_comparison_is_the_estimate_with_as_many_workers(workers, hours):
    found = with_mwaa(DEV, workers=workers, hours_per_day=hours)
    if hours == 24:
        assert found.ours.usd == estimate(with_workers(PLAN, workers), OREGON).total.usd
    assert found.ours_per_worker.usd == pytest.approx(Decimal("30.63") * hours / 24, abs=Decimal("0.01"))


def test_mwaa_is_environment_and_database_with_its_first_worker_in_it_and_the_same_network():
    found = with_mwaa(PROD, workers=3)
    network = sum(item.cost.usd for item in PROD.items if item.part == "network")
    assert found.environment_class == "medium", "2 vCPU, as m5.large"
    assert found.mwaa.usd == Decimal("540.20") + 1 + network + 2 * Decimal("80.30")


def test_production_breaks_even_with_mwaa():
    found = with_mwaa(PROD, workers=2)
    assert found.cheaper_from == 2
    assert with_mwaa(PROD, workers=1).ours.usd > with_mwaa(PROD, workers=1).mwaa.usd
    assert found.ours.usd <= found.mwaa.usd


def test_another_size_of_worker_is_called_unequal():
    assert "NOT the same size" in with_mwaa(DEV, workers=2, environment_class="small").assumptions[0]
    assert "NOT" not in with_mwaa(DEV, workers=2).assumptions[0]


def test_unknown_prices_give_no_break_even():
    found = with_mwaa(estimate(PLAN, dated_prices("eu-west-2")), workers=2)
    assert (found.cheaper_from, found.cheaper_up_to) == (None, None)
    assert not found.mwaa.complete


@pytest.mark.parametrize(
    "question",
    [{"workers": 0}, {"workers": 1, "hours_per_day": 0}, {"workers": 1, "hours_per_day": 25}, {"workers": 1, "environment_class": "huge"}],
)
def test_a_comparison_without_sense_is_refused(question):
    with pytest.raises(ValueError, match=r"cannot compare|unknown MWAA environment class"):
        with_mwaa(DEV, **question)


def test_a_plan_without_spot_workers_cannot_be_compared():
    with pytest.raises(ValueError, match="give a Spot group"):
        with_mwaa(estimate(CORE, OREGON), workers=1)


figures = st.integers(0, 500).map(lambda usd: Money(Decimal(usd)))


@given(base=figures, each=figures, mwaa_base=figures, mwaa_each=figures)
def test_the_break_even_is_where_the_sides_cross(base, each, mwaa_base, mwaa_each):
    fewest, most = _range(base, each, mwaa_base, mwaa_each)
    for workers in range(1, 40):
        cheaper = base.usd + workers * each.usd <= mwaa_base.usd + (workers - 1) * mwaa_each.usd
        assert cheaper == (fewest is not None and fewest <= workers <= (most or workers))


def test_an_unknown_side_has_no_break_even():
    assert _range(Money(), UNKNOWN_MONEY, Money(Decimal(5)), Money()) == (None, None)
