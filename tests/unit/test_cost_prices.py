"""The dated table: every figure has its source, and follows from the row it names. It cannot prove that AWS still asks these prices."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

import pytest

from components.cost_prices import BANDS, EC2, RDS, SERVICES, SHAPES, SOURCES, dated_prices


@pytest.mark.parametrize("item", SERVICES)
def test_a_service_price_gives_what_its_source_prints(item):
    figure = SERVICES[item]
    printed = Decimal(figure.printed)
    assert (Decimal(figure.usd) * Decimal(figure.quantity)).quantize(printed, ROUND_HALF_UP) == printed


@pytest.mark.parametrize("region", EC2)
def test_every_price_of_a_region_names_a_source_and_a_row(region):
    prices = dated_prices(region)
    for table in (prices.on_demand, prices.spot, prices.services):
        for item, price in table.items():
            key = re.match(r"\[(\w+)\] \S+", price.source)
            assert key, f"{region} {item} has no source: {price.source}"
            assert price.date == SOURCES[key[1]].date
            assert price.usd > 0, f"{region} {item}: 0 is no price"
    for name, price in prices.on_demand.items():
        assert price.source.endswith(f" {region} {name}"), "region and type are the row"


@pytest.mark.parametrize("region", EC2)
def test_rows_are_whole(region):
    for name, (usd, source, band, saving) in EC2[region].items():
        assert name in SHAPES
        assert (usd is None) == (source == ""), f"{region} {name}: a price has a source, a missing one has none"
        assert source in ("", "K", "L", "S4", "S8")
        assert 0 <= band < len(BANDS)
        assert 0 < saving < 91


def test_a_pair_that_no_source_has_is_absent_and_not_guessed():
    prices = dated_prices("us-west-2")
    assert "m6i.xlarge" not in prices.on_demand
    assert "m6i.xlarge" not in prices.spot
    assert "m6i.xlarge" in prices.advice


def test_xlarge_is_twice_large_wherever_both_are_known():
    oregon = EC2["us-west-2"]
    pairs = [(name, name.replace(".large", ".xlarge")) for name in oregon if name.endswith(".large")]
    compared = [(Decimal(oregon[xlarge][0]), 2 * Decimal(oregon[large][0])) for large, xlarge in pairs if oregon[xlarge][0]]
    assert len(compared) == 9
    assert all(xlarge == double for xlarge, double in compared)


def test_oregon_costs_what_virginia_does_wherever_both_are_known():
    """What lets the table take other services' prices over, and only there."""
    both = set(EC2["us-west-2"]) & set(EC2["us-east-1"])
    assert len(both) == 11
    assert all(EC2["us-west-2"][name][0] == EC2["us-east-1"][name][0] for name in both)


def test_what_is_taken_over_from_another_region_or_engine_says_so():
    oregon, virginia, london = (dated_prices(region).services for region in ("us-west-2", "us-east-1", "eu-west-2"))
    assert all("taken as equal in us-west-2" in oregon[item].assumed for item in SERVICES)
    assert not any(virginia[item].assumed for item in SERVICES)
    assert "MySQL" in oregon["rds db.m7g.large"].assumed
    assert set(london) == {"public ipv4"}, "no price of another region is taken over silently"


def test_spot_is_on_demand_less_the_average_saving_of_its_date():
    price = dated_prices("us-west-2").spot["m5.large"]
    assert price.usd == Decimal("0.096") * (100 - 62) / 100
    assert price.date == "2025-06-28"


def test_the_classes_that_settings_propose_are_priced():
    assert {"db.t4g.micro", "db.t4g.small", "db.m7g.large"} <= set(RDS)
