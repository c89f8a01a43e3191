"""Present prices, asked from AWS with the credentials of the shell: the price list, and Spot prices of the stack's zones.

Nothing is lost without AWS: what it does not answer keeps the price of the dated table, and the reason is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.cost_live import ProductQuery, SpotQuote, merged, product_queries, spot_types
from components.cost_prices import Prices
from components.planned import PlannedResource

PRICE_LIST_REGION = "us-east-1"
"""The price list of all regions answers in few of them (AWS Billing user guide, Price List Query API endpoints)."""
CLIENT = Config(connect_timeout=5, read_timeout=15, retries={"max_attempts": 2})
"""Seconds, and tries: somebody waits for the answer."""
AT_ONCE = 8


class LivePrices:
    """Asks for one region. Made before anything changes the shell's AWS settings: it keeps those it was made with."""

    def __init__(self, region: str, session: boto3.Session | None = None) -> None:
        session = session or boto3.Session()
        self._credentials = session.get_credentials()
        self._price_list = session.client("pricing", region_name=PRICE_LIST_REGION, config=CLIENT)
        self._ec2 = session.client("ec2", region_name=region, config=CLIENT)
        self._region = region

    def over(self, prices: Prices, plan: Sequence[PlannedResource]) -> tuple[Prices, tuple[str, ...]]:
        """The dated prices with AWS's over them, as far as a plan needs them, and what could not be had."""
        if self._credentials is None:
            return prices, ("AWS was not asked: there are no credentials in this shell (aws configure, or AWS_PROFILE)",)
        problems: list[str] = []
        answers: list[tuple[ProductQuery, str]] = []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            asked = pool.map(self._product, queries := product_queries(plan, self._region))
            for query, found in zip(queries, asked, strict=True):
                if isinstance(found, Exception) or len(found) != 1:
                    problems.append(f"{query.item}: {_reason(found)}; the dated table is used")
                else:
                    answers.append((query, found[0]))
        spot, problem = self._spot(spot_types(plan), zones(plan))
        prices, unusable = merged(prices, answers, spot)
        return prices, (*problems, *problem, *unusable)

    def _product(self, query: ProductQuery) -> list[str] | Exception:
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in query.filters.items()]
        try:
            return list(self._price_list.get_products(ServiceCode=query.service_code, Filters=filters, MaxResults=2)["PriceList"])
        except (BotoCoreError, ClientError) as error:
            return error

    def _spot(self, types: Sequence[str], zones: set[str]) -> tuple[dict[str, list[SpotQuote]], list[str]]:
        if not types:
            return {}, []
        try:
            pages = self._ec2.get_paginator("describe_spot_price_history").paginate(
                InstanceTypes=list(types), ProductDescriptions=["Linux/UNIX"], StartTime=datetime.now(UTC)
            )
            rows = [row for page in pages for row in page["SpotPriceHistory"]]
        except (BotoCoreError, ClientError) as error:
            return {}, [f"Spot prices: {_reason(error)}; the average saving is used"]
        quotes: dict[str, list[SpotQuote]] = {name: [] for name in types}
        for row in rows:
            if not zones or row["AvailabilityZone"] in zones:
                quote = SpotQuote(zone=row["AvailabilityZone"], usd=row["SpotPrice"], timestamp=row["Timestamp"].isoformat())
                quotes[row["InstanceType"]].append(quote)
        return quotes, []


def zones(plan: Sequence[PlannedResource]) -> set[str]:
    """Zones of the plan's subnets; none if the subnets are somebody else's."""
    given = (one.inputs.get("availabilityZone") for one in plan if one.type == "aws:ec2/subnet:Subnet")
    return {zone for zone in given if isinstance(zone, str)}


def _reason(found: Any) -> str:
    if isinstance(found, ClientError):
        return f"AWS refused ({found.response['Error']['Code']})"
    return str(found) if isinstance(found, Exception) else f"{'no' if not found else 'more than one'} product in the price list"
