"""Prices that AWS gave, read and merged over the dated table. Pure: the questions are built here, asked elsewhere.

`product_queries` are for `aws.pricing.get_product` (Price List query, which answers only through a provider in us-east-1 or ap-south-1) and
`spot_types` for `aws.ec2.get_spot_price`. An answer that is missing, unreadable or of something else loses nothing: the table's price stays
and `merged` says why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from components.cost_nodes import NODE_GROUP, instance_types
from components.cost_prices import CURRENCY, Price, Prices
from components.planned import PlannedResource

USAGE_PREFIXES = {
    "us-east-1": "USE1",
    "us-east-2": "USE2",
    "us-west-2": "USW2",
    "eu-west-1": "EU",
    "eu-west-2": "EUW2",
    "eu-central-1": "EUC1",
}
"""How AWS begins a region's usage types; others are not asked by usage type."""


class LivePriceError(ValueError):
    """An answer of AWS that cannot be used; the message says why."""


@dataclass(frozen=True, kw_only=True)
class ProductQuery:
    """A question to the price list whose answer is one product."""

    item: str
    """Instance type, or the key in Prices.services."""
    service_code: str
    filters: Mapping[str, str]
    """Field to value, all of which must match."""

    @property
    def instance(self) -> bool:
        """Whether it is about an EC2 instance type."""
        return "operatingSystem" in self.filters


@dataclass(frozen=True, kw_only=True)
class SpotQuote:
    """The present Spot price of a type in one zone, as aws.ec2.get_spot_price answers."""

    zone: str
    usd: str
    """`spot_price`."""
    timestamp: str
    """`spot_price_timestamp`."""


def product_queries(plan: Sequence[PlannedResource], region: str) -> tuple[ProductQuery, ...]:
    """What to ask the price list for a plan: instance types, database classes, control plane and NAT."""
    groups = [one for one in plan if one.type == NODE_GROUP]
    classes = {str(one.inputs.get("instanceClass")) for one in plan if one.type == "aws:rds/instance:Instance"}
    machine = {"regionCode": region, "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
    database = {"regionCode": region, "databaseEngine": "PostgreSQL", "deploymentOption": "Single-AZ"}
    queries = [
        ProductQuery(item=name, service_code="AmazonEC2", filters={**machine, "instanceType": name, "marketoption": "OnDemand"})
        for name in sorted({name for group in groups for name in instance_types(group)})
    ]
    queries += [
        ProductQuery(item=f"rds {name}", service_code="AmazonRDS", filters={**database, "instanceType": name}) for name in sorted(classes)
    ]
    nat = {"regionCode": region, "productFamily": "NAT Gateway", "groupDescription": "Hourly charge for NAT Gateways"}
    queries.append(ProductQuery(item="nat", service_code="AmazonEC2", filters=nat))
    if prefix := USAGE_PREFIXES.get(region):
        eks = {"regionCode": region, "usagetype": f"{prefix}-AmazonEKS-Hours:perCluster"}
        queries.append(ProductQuery(item="eks", service_code="AmazonEKS", filters=eks))
    return tuple(queries)


def spot_types(plan: Sequence[PlannedResource]) -> tuple[str, ...]:
    """Instance types whose Spot price to ask, in each zone of the stack."""
    groups = (one for one in plan if one.type == NODE_GROUP and one.inputs.get("capacityType") == "SPOT")
    return tuple(dict.fromkeys(name for group in groups for name in instance_types(group)))


def hourly_price(answer: str, query: ProductQuery) -> Price:
    """The On-Demand price in a price list answer (`get_product(...).result`).

    Raises:
        LivePriceError: it is not one hourly price in US dollars of exactly what was asked.
    """
    try:
        product = json.loads(answer)
        attributes = product["product"]["attributes"]
        terms = [term for term in product["terms"]["OnDemand"].values()]
        dimensions = [dimension for term in terms for dimension in term["priceDimensions"].values()]
        date = str(product.get("publicationDate") or terms[0]["effectiveDate"])[:10]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise LivePriceError(f"not a price list answer: {error!r}") from None
    for key, value in query.filters.items():
        if key in attributes and attributes[key] != value:
            raise LivePriceError(f"asked for {key} {value}, got {attributes[key]}")
    if len(dimensions) != 1:
        raise LivePriceError(f"{len(dimensions)} prices where one was expected")
    usd, unit = dimensions[0].get("pricePerUnit", {}).get(CURRENCY), dimensions[0].get("unit")
    if unit not in ("Hrs", "hours", "Hours"):
        raise LivePriceError(f"a price by {unit}, not by hour")
    return Price(usd=_usd(usd), source=f"AWS Price List, {product['product'].get('sku', 'no SKU')}", date=date)


def spot_price(quotes: Sequence[SpotQuote]) -> Price:
    """The present Spot price of a type: that of its dearest zone, since it is not known which zone a node comes from.

    Raises:
        LivePriceError: there is none, or one is no price.
    """
    if not quotes:
        raise LivePriceError("AWS gave no Spot price")
    dearest = max(quotes, key=lambda quote: _usd(quote.usd))
    return Price(usd=_usd(dearest.usd), source=f"EC2 Spot price history, {dearest.zone}", date=dearest.timestamp[:10])


def merged(
    prices: Prices, answers: Mapping[ProductQuery, str] | Sequence[tuple[ProductQuery, str]], spot: Mapping[str, Sequence[SpotQuote]]
) -> tuple[Prices, tuple[str, ...]]:
    """The table with AWS's answers over it, and what could not be used."""
    on_demand, services, present = dict(prices.on_demand), dict(prices.services), dict(prices.spot)
    problems: list[str] = []
    used: list[Price] = []
    for query, answer in answers.items() if isinstance(answers, Mapping) else answers:
        try:
            price = hourly_price(answer, query)
        except LivePriceError as error:
            problems.append(f"{query.item}: {error}; the dated table is used")
            continue
        (on_demand if query.instance else services)[query.item] = price
        used.append(price)
    for instance_type, quotes in spot.items():
        try:
            present[instance_type] = spot_price(quotes)
            used.append(present[instance_type])
        except LivePriceError as error:
            problems.append(f"Spot {instance_type}: {error}; the average saving is used")
    if not used:
        return prices, tuple(problems)
    dates = sorted(price.date for price in used)
    origin = f"{len(used)} asked from AWS (of {dates[0]} to {dates[-1]}), the others list prices of the project's dated table"
    return replace(prices, on_demand=on_demand, services=services, spot=present, origin=origin), tuple(problems)


def _usd(value: Any) -> Decimal:
    try:
        usd = Decimal(str(value))
    except InvalidOperation:
        raise LivePriceError(f"no price in {CURRENCY}") from None
    if not usd.is_finite() or usd <= 0:
        raise LivePriceError(f"a price of {value} cannot be")
    return usd
