"""B2: the address plan. Deployed ranges are pinned here: a plan that computed others would replace the subnets of every stack."""

from __future__ import annotations

import ipaddress
from itertools import combinations

import pytest

from components import network_plan
from components.network_plan import ZonePlan

ZONES = [f"us-west-2{letter}" for letter in "abcdef"]


def test_the_default_network_has_these_subnets() -> None:
    assert network_plan.plan("10.0.0.0/16", ZONES[:3]) == (
        ZonePlan(zone="us-west-2a", letter="a", private="10.0.0.0/19", public="10.0.224.0/22"),
        ZonePlan(zone="us-west-2b", letter="b", private="10.0.32.0/19", public="10.0.228.0/22"),
        ZonePlan(zone="us-west-2c", letter="c", private="10.0.64.0/19", public="10.0.232.0/22"),
    )


@pytest.mark.parametrize("prefix", network_plan.VPC_PREFIXES)
def test_subnets_lie_in_the_vpc_and_do_not_overlap(prefix: int) -> None:
    vpc = ipaddress.ip_network(f"10.64.0.0/{prefix}")
    ranges = [ipaddress.ip_network(text) for zone in network_plan.plan(str(vpc), ZONES) for text in (zone.private, zone.public)]
    assert all(item.subnet_of(vpc) for item in ranges)
    assert not any(one.overlaps(other) for one, other in combinations(ranges, 2))
    assert all(16 <= item.prefixlen <= 28 for item in ranges), "AWS takes subnets of /16 to /28 only"


def test_another_zone_moves_no_subnet() -> None:
    few, many = network_plan.plan("10.0.0.0/16", ZONES[1:3]), network_plan.plan("10.0.0.0/16", ZONES)
    assert set(few) < set(many)


@pytest.mark.parametrize("text", ["10.0.0.0/16", "172.16.0.0/20", "192.168.0.0/18"])
def test_private_ranges_are_accepted(text: str) -> None:
    assert network_plan.vpc_problems(text) == []


def test_a_range_of_the_other_kind_is_refused() -> None:
    assert network_plan.vpc_problems("fd00::/16") == ["must be an IPv4 range"]


def test_a_large_network_has_room_for_its_pods() -> None:
    assert network_plan.room_problem("10.0.0.0/16", 3, 100) is None


@pytest.mark.parametrize(
    ("zones", "message"),
    [
        (["us-east-1a", "us-east-1e"], "us-east-1e cannot carry an EKS control plane"),
        (["us-east-1a", "us-east-1-nyc-1a"], "us-east-1-nyc-1a is no ordinary zone"),
        ([], "need >= 2 zones"),
    ],
)
def test_zones_without_eks_are_refused(zones: list[str], message: str) -> None:
    assert message in " ".join(network_plan.zone_problems(zones, "us-east-1"))
