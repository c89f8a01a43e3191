"""Questions to AWS, checked by botocore against its own model of the services. What the price list really answers only AWS can prove."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from components.cost_live import product_queries
from components.cost_prices import dated_prices
from components.live_prices import LivePrices, zones
from tests.unit.cost_plan import PLAN, resource

OREGON = dated_prices("us-west-2")
SUBNETS = [resource("aws:ec2/subnet:Subnet", f"private-{zone[-1]}", availabilityZone=zone) for zone in ("us-west-2a", "us-west-2b")]


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="a", aws_secret_access_key="b")


@pytest.fixture
def asked(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LivePrices, Stubber, Stubber]]:
    monkeypatch.setattr("components.live_prices.AT_ONCE", 1)  # a stub answers in the order of its script
    live = LivePrices("us-west-2", session)
    with Stubber(live._price_list) as price_list, Stubber(live._ec2) as ec2:
        yield live, price_list, ec2


def product(usd: str) -> str:
    price = {"unit": "Hrs", "pricePerUnit": {"USD": usd}}
    terms = {"OnDemand": {"t": {"effectiveDate": "2026-11-01T00:00:00Z", "priceDimensions": {"d": price}}}}
    return json.dumps({"product": {"attributes": {}, "sku": "SKU"}, "terms": terms, "publicationDate": "2026-11-20T00:00:00Z"})


def quote(instance_type: str, zone: str, usd: str) -> dict[str, Any]:
    return {"InstanceType": instance_type, "AvailabilityZone": zone, "SpotPrice": usd, "Timestamp": datetime(2026, 11, 24, tzinfo=UTC)}


def test_answers_stand_over_the_table_and_the_dearest_zone_of_the_stack_counts(asked):
    live, price_list, ec2 = asked
    for query in product_queries(PLAN, "us-west-2"):
        expected = {"ServiceCode": query.service_code, "Filters": ANY, "MaxResults": 2}
        price_list.add_response("get_products", {"PriceList": [product("0.2")]}, expected)
    history = [quote("m5.large", "us-west-2a", "0.0400"), quote("m5.large", "us-west-2b", "0.0500"), quote("m5.large", "us-west-2z", "0.9")]
    ec2.add_response("describe_spot_price_history", {"SpotPriceHistory": history})
    prices, problems = live.over(OREGON, [*PLAN, *SUBNETS])
    assert prices.on_demand["m5.large"].usd == Decimal("0.2")
    assert prices.services["eks"].usd == Decimal("0.2")
    assert prices.spot["m5.large"].usd == Decimal("0.0500"), "zones that the stack does not use say nothing"
    assert prices.spot["m4.large"] == OREGON.spot["m4.large"]
    assert "asked from AWS" in prices.origin
    assert any("m4.large" in problem for problem in problems), "a type that AWS gave no price for is named"
    price_list.assert_no_pending_responses()


def test_what_aws_refuses_or_does_not_know_keeps_the_dated_price_and_is_named(asked):
    live, price_list, ec2 = asked
    price_list.add_client_error("get_products", "AccessDeniedException")
    for _ in product_queries(PLAN, "us-west-2")[1:]:
        price_list.add_response("get_products", {"PriceList": []})
    ec2.add_client_error("describe_spot_price_history", "UnauthorizedOperation")
    prices, problems = live.over(OREGON, PLAN)
    assert prices == OREGON
    assert any("AWS refused (AccessDeniedException); the dated table is used" in problem for problem in problems)
    assert "no product in the price list" in " ".join(problems)
    assert "Spot prices: AWS refused (UnauthorizedOperation); the average saving is used" in problems


def test_without_credentials_nobody_is_asked(monkeypatch):
    live = LivePrices("us-west-2", boto3.Session(aws_access_key_id="a", aws_secret_access_key="b"))
    monkeypatch.setattr(live, "_credentials", None)
    prices, problems = live.over(OREGON, PLAN)
    assert prices == OREGON
    assert "no credentials" in problems[0]


def test_zones_are_those_of_the_planned_subnets():
    assert zones([*PLAN, *SUBNETS]) == {"us-west-2a", "us-west-2b"}
    assert zones([]) == set()
