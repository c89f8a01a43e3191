"""Prices that AWS gave. Answers here have the price list's documented form; that AWS matches the filters is for a real account to prove."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from components.cost_estimate import estimate
from components.cost_live import LivePriceError, SpotQuote, hourly_price, merged, product_queries, spot_price, spot_types
from components.cost_prices import dated_prices
from tests.unit.cost_plan import PLAN

OREGON = dated_prices("us-west-2")
QUERIES = {query.item: query for query in product_queries(PLAN, "us-west-2")}


def answer(*, usd: str = "0.0990000000", unit: str = "Hrs", currency: str = "USD", copies: int = 1, **attributes: str) -> str:
    prices: dict[str, Any] = {
        f"SKU.TERM.{number}": {"unit": unit, "beginRange": "0", "endRange": "Inf", "pricePerUnit": {currency: usd}}
        for number in range(copies)
    }
    return json.dumps(
        {
            "product": {"sku": "SKU", "productFamily": "Compute Instance", "attributes": {"regionCode": "us-west-2", **attributes}},
            "serviceCode": "AmazonEC2",
            "terms": {"OnDemand": {"SKU.TERM": {"priceDimensions": prices, "effectiveDate": "2026-11-01T00:00:00Z"}}},
            "publicationDate": "2026-11-20T10:00:00Z",
        }
    )


def test_everything_that_matters_is_asked_once():
    assert list(QUERIES) == ["m4.large", "m5.large", "m5a.large", "rds db.t4g.small", "nat", "eks"]
    assert QUERIES["eks"].filters["usagetype"] == "USW2-AmazonEKS-Hours:perCluster"
    assert spot_types(PLAN) == ("m5.large", "m4.large", "m5a.large")


def test_the_control_plane_is_not_asked_where_its_usage_type_is_not_known():
    assert "eks" not in {query.item for query in product_queries(PLAN, "ap-south-1")}


def test_a_price_list_answer_is_read_with_its_date():
    price = hourly_price(answer(instanceType="m5.large"), QUERIES["m5.large"])
    assert (price.usd, price.date, price.source) == (Decimal("0.0990000000"), "2026-11-20", "AWS Price List, SKU")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "not a price list answer"),
        ("[]", "not a price list answer"),
        ('{"product": null}', "not a price list answer"),
        (answer(instanceType="m5.xlarge"), "asked for instanceType m5.large, got m5.xlarge"),
        (answer(regionCode="us-east-1"), "asked for regionCode us-west-2, got us-east-1"),
        (answer(usd="0.0000000000"), "a price of 0.0000000000 cannot be"),
        (answer(usd="free"), "no price in USD"),
        (answer(currency="CNY"), "no price in USD"),
        (answer(unit="Quantity"), "a price by Quantity"),
        (answer(copies=2), "2 prices where one was expected"),
    ],
)
def test_an_answer_that_cannot_be_used_says_why_and_loses_nothing(given, why):
    with pytest.raises(LivePriceError, match=why):
        hourly_price(given, QUERIES["m5.large"])
    prices, problems = merged(OREGON, [(QUERIES["m5.large"], given)], {})
    assert prices == OREGON
    assert problems[0].startswith("m5.large: ")
    assert problems[0].endswith("the dated table is used")


def test_the_dearest_zone_is_the_price_of_spot():
    quotes = [
        SpotQuote(zone="us-west-2a", usd="0.031200", timestamp="2026-11-24T09:00:00Z"),
        SpotQuote(zone="us-west-2b", usd="0.040100", timestamp="2026-11-23T09:00:00Z"),
    ]
    price = spot_price(quotes)
    assert (price.usd, price.date) == (Decimal("0.040100"), "2026-11-23")
    assert "us-west-2b" in price.source


def test_no_spot_quote_keeps_the_dated_average():
    prices, problems = merged(OREGON, [], {"m5.large": []})
    assert prices == OREGON
    assert problems == ("Spot m5.large: AWS gave no Spot price; the average saving is used",)


def test_live_prices_reach_the_estimate_and_say_where_they_are_from():
    quotes = {"m5.large": [SpotQuote(zone="us-west-2a", usd="0.0500", timestamp="2026-11-24T09:00:00Z")]}
    answers = [
        (QUERIES["m5.large"], answer(usd="0.1000", instanceType="m5.large")),
        (QUERIES["rds db.t4g.small"], answer(usd="0.0400", instanceType="db.t4g.small")),
    ]
    prices, problems = merged(OREGON, answers, quotes)
    costs = estimate(PLAN, prices)
    assert problems == ()
    assert prices.origin.startswith("3 asked from AWS (of 2026-11-20 to 2026-11-24)")
    by_label = {item.label: item for item in costs.items}
    assert by_label["Core nodes ng-on-demand"].cost.per("hour") == Decimal("0.2")
    assert by_label["RDS PostgreSQL"].cost.per("hour") == Decimal("0.04")
    assert by_label["Spot workers ng-spot1"].cost.per("hour") == Decimal("0.1")
    pool = costs.pools[0]
    assert (pool.saving_percent, pool.band, pool.date) == (50, "10-15%", "2026-11-24")


def test_live_prices_fill_a_region_that_the_table_does_not_have():
    queries = {query.item: query for query in product_queries(PLAN, "ap-south-1")}
    prices, _ = merged(dated_prices("ap-south-1"), [(queries["m5.large"], answer(regionCode="ap-south-1", instanceType="m5.large"))], {})
    assert estimate(PLAN, prices).items[1].cost.cents("month") == Decimal("144.54")
