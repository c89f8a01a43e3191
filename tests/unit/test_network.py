"""B2: what the network is made of. Whether packets flow is for AWS to show."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from components.network import Network, NetworkArgs
from tests.conftest import ACCOUNT, Engine, built_once

Build = Callable[[Callable[[], Any]], Engine]
SHARED = {
    ("aws:ec2/vpc:Vpc", "net-vpc"),
    ("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "net-default-group"),
    ("aws:ec2/internetGateway:InternetGateway", "net-internet"),
    ("aws:ec2/routeTable:RouteTable", "net-public-routes"),
    ("aws:ec2/route:Route", "net-public-way-out"),
    ("aws:ec2/vpcEndpoint:VpcEndpoint", "net-s3"),
    ("aws:ec2/flowLog:FlowLog", "net-flow-log"),
    ("aws:cloudwatch/logGroup:LogGroup", "net-flow-log"),
    ("aws:iam/role:Role", "net-flow-log-role"),
    ("aws:iam/rolePolicy:RolePolicy", "net-flow-log-policy"),
}


def in_each_zone(letter: str) -> set[tuple[str, str]]:
    """What every zone has."""
    return {
        ("aws:ec2/subnet:Subnet", f"net-public-{letter}"),
        ("aws:ec2/subnet:Subnet", f"net-private-{letter}"),
        ("aws:ec2/routeTable:RouteTable", f"net-private-routes-{letter}"),
        ("aws:ec2/route:Route", f"net-private-way-out-{letter}"),
        ("aws:ec2/routeTableAssociation:RouteTableAssociation", f"net-public-{letter}-routes"),
        ("aws:ec2/routeTableAssociation:RouteTableAssociation", f"net-private-{letter}-routes"),
    }


def nat(letter: str) -> set[tuple[str, str]]:
    """A zone's own way out."""
    return {("aws:ec2/natGateway:NatGateway", f"net-nat-{letter}"), ("aws:ec2/eip:Eip", f"net-nat-{letter}-address")}


@built_once
def network(tags: Mapping[str, str], **changes: Any) -> Callable[[], Network]:
    """A network in three zones, changed."""
    plan = {
        "region": "us-west-2",
        "vpc_cidr": "10.0.0.0/16",
        "availability_zones": ("us-west-2a", "us-west-2b", "us-west-2c"),
        "nat_gateways": "single",
        "log_retention_days": 30,
        "kms_key_arn": "arn:key",
        "tags": tags,
    }
    return lambda: Network("net", NetworkArgs(**{**plan, **changes}))


def test_b2_three_zones_share_one_nat_gateway(build: Build, tags: dict[str, str]) -> None:
    engine = build(network(tags))
    assert engine.children == SHARED | in_each_zone("a") | in_each_zone("b") | in_each_zone("c") | nat("a")
    ways_out = {name: inputs.get("natGatewayId") for name, inputs in engine.of_type("aws:ec2/route:Route").items() if "private" in name}
    assert set(ways_out.values()) == {"net-nat-a-id"}
    assert len(ways_out) == 3


def test_b2_each_zone_has_its_own_nat_gateway_when_asked(build: Build, tags: dict[str, str]) -> None:
    engine = build(network(tags, nat_gateways="per-zone"))
    zones = in_each_zone("a") | in_each_zone("b") | in_each_zone("c")
    assert engine.children == SHARED | zones | nat("a") | nat("b") | nat("c")
    for letter in "abc":
        assert engine.resources["aws:ec2/route:Route", f"net-private-way-out-{letter}"]["natGatewayId"] == f"net-nat-{letter}-id"
        assert engine.resources["aws:ec2/natGateway:NatGateway", f"net-nat-{letter}"]["subnetId"] == f"net-public-{letter}-id"


def test_b2_an_existing_network_is_used_and_nothing_created(build: Build, tags: dict[str, str]) -> None:
    engine = build(network(tags, vpc_id="vpc-1", private_subnet_ids=("subnet-1", "subnet-2"), public_subnet_ids=("subnet-3", "subnet-4")))
    assert engine.children == set()
    assert engine.registered_outputs("net")["ids"] == {
        "vpc_id": "vpc-1",
        "private": ["subnet-1", "subnet-2"],
        "public": ["subnet-3", "subnet-4"],
        "nodes": ["subnet-1", "subnet-2"],
    }


def test_b2_load_balancers_find_their_subnets(build: Build, tags: dict[str, str]) -> None:
    subnets = build(network(tags)).of_type("aws:ec2/subnet:Subnet")
    for name, inputs in subnets.items():
        roles = {key for key in inputs["tags"] if key.startswith("kubernetes.io/role/")}
        assert roles == ({"kubernetes.io/role/elb"} if "public" in name else {"kubernetes.io/role/internal-elb"})


def test_ckv_aws_130_no_subnet_gives_public_addresses(build: Build, tags: dict[str, str]) -> None:
    assert all(inputs["mapPublicIpOnLaunch"] is False for inputs in build(network(tags)).of_type("aws:ec2/subnet:Subnet").values())


def test_ckv2_aws_12_the_default_security_group_admits_nobody(build: Build, tags: dict[str, str]) -> None:
    group = build(network(tags)).resources["aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "net-default-group"]
    assert (group["ingress"], group["egress"]) == ([], [])


def test_nodes_wait_for_their_way_out_and_go_before_it(build: Build, tags: dict[str, str]) -> None:
    engine = build(network(tags))
    assert engine.registered_outputs("net")["ids"]["nodes"] == [f"net-private-{letter}-id" for letter in "abc"]
    public_route = engine.request("aws:ec2/natGateway:NatGateway", "net-nat-a").dependencies
    assert any(urn.endswith("::net-public-way-out") for urn in public_route), "a NAT gateway without a way out serves nobody"


def test_image_layers_come_from_s3_without_nat(build: Build, tags: dict[str, str]) -> None:
    endpoint = build(network(tags)).resources["aws:ec2/vpcEndpoint:VpcEndpoint", "net-s3"]
    assert endpoint["serviceName"] == "com.amazonaws.us-west-2.s3"
    assert endpoint["vpcEndpointType"] == "Gateway"
    assert sorted(endpoint["routeTableIds"]) == [f"net-private-routes-{letter}-id" for letter in "abc"]


def test_aws_0178_it_stays_on_record_who_talked_to_whom(build: Build, tags: dict[str, str]) -> None:
    engine = build(network(tags))
    log = engine.resources["aws:ec2/flowLog:FlowLog", "net-flow-log"]
    assert (log["vpcId"], log["trafficType"], log["logDestinationType"]) == ("net-vpc-id", "ALL", "cloud-watch-logs")
    group = engine.resources["aws:cloudwatch/logGroup:LogGroup", "net-flow-log"]
    assert (group["retentionInDays"], group["kmsKeyId"]) == (30, "arn:key")
    write, _ = json.loads(engine.resources["aws:iam/rolePolicy:RolePolicy", "net-flow-log-policy"]["policy"])["Statement"]
    assert write["Resource"] == f"arn:aws:mock:us-west-2:{ACCOUNT}:net-flow-log:*", "B3: its own log group only"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vpc_cidr": "10.0.0.0/28"}, "allowed /16 to /20, got /28"),
        ({"availability_zones": ("us-west-2a",)}, "need >= 2 zones"),
        ({"region": "eu-west-1"}, "zone us-west-2a is not in eu-west-1"),
    ],
)
def test_a_network_that_cannot_work_is_refused_before_anything_is_created(
    tags: dict[str, str], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        network(tags, **changes)()
