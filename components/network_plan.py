"""Where the subnets of a VPC lie. Pure address arithmetic.

The VPC is cut into eighths: zones a to f take the first six as private subnets, and the last is cut into eighths again for the public
ones. A zone's ranges depend on its letter alone, so adding or removing a zone moves no subnet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

VPC_PREFIXES = range(16, 21)
"""AWS allows /16 to /28; below /20 a private subnet has too few addresses for pods."""
LETTERS = "abcdef"
"""No region has a zone beyond f."""
MIN_ZONES = 2
"""EKS wants subnets in two zones, and so does a database's subnet group (EKS user guide, network requirements)."""
ADDRESSES_AWS_KEEPS = 5
SERVICE_CIDRS = ("10.100.0.0/16", "172.20.0.0/16")
"""EKS gives Services one of these unless told otherwise (EKS API reference, KubernetesNetworkConfigRequest)."""
SMALLEST_PODS_PER_NODE = 29
"""Pods, each with an address, of an m5.large: 3 interfaces x 9 + 2."""


@dataclass(frozen=True, kw_only=True)
class ZonePlan:
    """The two subnets of a zone."""

    zone: str
    letter: str
    """Last letter of the zone: names resources and picks the ranges."""
    private: str
    public: str


def plan(vpc_cidr: str, zones: Sequence[str]) -> tuple[ZonePlan, ...]:
    """The subnets of each zone, in the order of `zones`."""
    eighths = list(ipaddress.IPv4Network(vpc_cidr).subnets(prefixlen_diff=3))
    public = list(eighths[-1].subnets(prefixlen_diff=3))
    return tuple(
        ZonePlan(zone=zone, letter=zone[-1], private=str(eighths[index]), public=str(public[index]))
        for zone, index in ((zone, LETTERS.index(zone[-1])) for zone in zones)
    )


def cidr_problem(text: str) -> str | None:
    """Why a text is not an address range; host bits that are set are an error too."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        try:
            return f"has host bits set; did you mean {ipaddress.ip_network(text, strict=False)}?"
        except ValueError:
            return "is no address range such as 10.0.0.0/16"
    return None


def vpc_problems(text: str) -> list[str]:
    """Why a text cannot be the range of the VPC."""
    if problem := cidr_problem(text):
        return [problem]
    network = ipaddress.ip_network(text)
    if not isinstance(network, ipaddress.IPv4Network):
        return ["must be an IPv4 range"]
    found = []
    if network.prefixlen not in VPC_PREFIXES:
        found.append(f"allowed /{VPC_PREFIXES[0]} to /{VPC_PREFIXES[-1]}, got /{network.prefixlen}")
    if not network.is_private:
        found.append("must be a private range (RFC 1918)")
    found += [
        f"overlaps {other}, which EKS may give to Services" for other in SERVICE_CIDRS if network.overlaps(ipaddress.ip_network(other))
    ]
    return found


def room_problem(vpc_cidr: str, zones: int, nodes: int) -> str | None:
    """Why the private subnets cannot hold the pods of that many nodes."""
    size = 2 ** (32 - ipaddress.ip_network(vpc_cidr).prefixlen - 3) - ADDRESSES_AWS_KEEPS
    need = nodes * SMALLEST_PODS_PER_NODE
    if size * zones < need:
        return f"private subnets have {zones} x {size} addresses, and {nodes} nodes x {SMALLEST_PODS_PER_NODE} pods need {need}"
    return None


def zone_problems(zones: Sequence[str], region: str) -> list[str]:
    """Why these zones cannot carry the cluster."""
    found = [f"zone {zone} given twice" for zone in dict.fromkeys(zones) if zones.count(zone) > 1]
    if len(set(zones)) < MIN_ZONES:
        found.append(f"need >= {MIN_ZONES} zones (EKS, RDS subnet group), got {len(set(zones))}: {', '.join(zones)}")
    for zone in dict.fromkeys(zones):
        if not zone.startswith(region):
            found.append(f"zone {zone} is not in {region}")
        elif len(zone) != len(region) + 1 or zone[-1] not in LETTERS:
            found.append(f"{zone} is no ordinary zone: EKS wants zones such as {region}a")
        elif zone == "us-east-1e":
            found.append("us-east-1e cannot carry an EKS control plane")
    return found
