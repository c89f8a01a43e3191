"""The VPC: a public and a private subnet in each zone, one way out through NAT, and S3 without it. Or a VPC that exists, by its ids.

Nodes, database and file system live in the private subnets; only load balancers and NAT gateways in the public ones. Without the
`kubernetes.io/role` tags no load balancer would find its subnets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from components import iam_policies, network_plan
from components.cost_tags import component_tags

ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What the network is made of."""

    region: str
    vpc_cidr: str
    """IPv4 range, /16 to /20."""
    availability_zones: tuple[str, ...]
    """Zones with two subnets each; the first holds the NAT gateway when there is one only."""
    nat_gateways: Literal["single", "per-zone"]
    """One is cheaper; one a zone outlives the loss of a zone."""
    vpc_id: str | None = None
    """An existing VPC: then nothing is created."""
    private_subnet_ids: tuple[str, ...] = ()
    public_subnet_ids: tuple[str, ...] = ()
    log_retention_days: int
    """How long it stays on record who talked to whom."""
    kms_key_arn: pulumi.Input[str]
    """Key for that record."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.vpc_id is not None:
            return
        problems = network_plan.vpc_problems(self.vpc_cidr) + network_plan.zone_problems(self.availability_zones, self.region)
        if problems:
            raise ValueError(f"network: {'; '.join(problems)} (settings network.vpcCidr and network.availabilityZones)")


@dataclass(frozen=True, kw_only=True)
class NetworkIds:
    """What others need to know of a network."""

    vpc_id: pulumi.Input[str]
    private: tuple[pulumi.Input[str], ...]
    """Subnets for nodes, database and file system; one a zone, so that their number is known before there are any."""
    public: tuple[pulumi.Input[str], ...]
    """Subnets for internet-facing load balancers."""
    nodes: pulumi.Input[Sequence[str]]
    """The private subnets once their way out stands: nodes that start earlier, or outlive it, reach neither EKS nor a registry."""


class Network(pulumi.ComponentResource):
    """VPC `{name}-vpc`, subnets `{name}-public-a`, `{name}-private-a`, ..., their routes and gateways, `{name}-flow-log`,
    and the emptied default group.
    """

    ids: NetworkIds
    """The network by its ids."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:Network", name, None, opts)
        self.ids = self._create(name, args) if args.vpc_id is None else _existing(args.vpc_id, args)
        self.register_outputs({"ids": {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self.ids).items()}})

    def _create(self, name: str, args: NetworkArgs) -> NetworkIds:
        child = pulumi.ResourceOptions(parent=self)

        def tags(suffix: str, **more: str) -> dict[str, str]:
            return component_tags(args.tags, "network", Name=f"{name}-{suffix}", **more)

        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args.vpc_cidr,
            enable_dns_hostnames=True,  # the private names of database and file system resolve only then
            enable_dns_support=True,
            tags=tags("vpc"),
            opts=child,
        )
        aws.ec2.DefaultSecurityGroup(f"{name}-default-group", vpc_id=vpc.id, ingress=[], egress=[], tags=tags("default-group"), opts=child)
        self._flow_log(name, args, vpc, tags("flow-log"))
        internet = aws.ec2.InternetGateway(f"{name}-internet", vpc_id=vpc.id, tags=tags("internet"), opts=child)
        public_routes = aws.ec2.RouteTable(f"{name}-public-routes", vpc_id=vpc.id, tags=tags("public-routes"), opts=child)
        way_out = aws.ec2.Route(
            f"{name}-public-way-out", route_table_id=public_routes.id, destination_cidr_block=ANYWHERE, gateway_id=internet.id, opts=child
        )
        public: list[pulumi.Output[str]] = []
        private: list[pulumi.Output[str]] = []
        private_tables: list[aws.ec2.RouteTable] = []
        ready: list[pulumi.Resource] = []
        nat: aws.ec2.NatGateway | None = None
        for zone in network_plan.plan(args.vpc_cidr, args.availability_zones):
            letter = zone.letter
            outer = aws.ec2.Subnet(
                f"{name}-public-{letter}",
                vpc_id=vpc.id,
                availability_zone=zone.zone,
                cidr_block=zone.public,
                map_public_ip_on_launch=False,
                tags=tags(f"public-{letter}", **{"kubernetes.io/role/elb": "1"}),
                opts=child,
            )
            inner = aws.ec2.Subnet(
                f"{name}-private-{letter}",
                vpc_id=vpc.id,
                availability_zone=zone.zone,
                cidr_block=zone.private,
                map_public_ip_on_launch=False,
                tags=tags(f"private-{letter}", **{"kubernetes.io/role/internal-elb": "1"}),
                opts=child,
            )
            ready += [
                aws.ec2.RouteTableAssociation(
                    f"{name}-public-{letter}-routes", subnet_id=outer.id, route_table_id=public_routes.id, opts=child
                )
            ]
            if nat is None or args.nat_gateways == "per-zone":
                nat = self._nat_gateway(f"{name}-nat-{letter}", outer.id, tags(f"nat-{letter}"), way_out)
            # a table for each zone, so that changing the number of NAT gateways changes a route and replaces nothing
            table = aws.ec2.RouteTable(f"{name}-private-routes-{letter}", vpc_id=vpc.id, tags=tags(f"private-routes-{letter}"), opts=child)
            ready += [
                aws.ec2.Route(
                    f"{name}-private-way-out-{letter}",
                    route_table_id=table.id,
                    destination_cidr_block=ANYWHERE,
                    nat_gateway_id=nat.id,
                    opts=child,
                ),
                aws.ec2.RouteTableAssociation(f"{name}-private-{letter}-routes", subnet_id=inner.id, route_table_id=table.id, opts=child),
            ]
            public.append(outer.id)
            private.append(inner.id)
            private_tables.append(table)
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{args.region}.s3",
            vpc_endpoint_type="Gateway",  # free, and image layers come from S3: they skip NAT's price per GB
            route_table_ids=[table.id for table in private_tables],
            tags=tags("s3"),
            opts=child,
        )
        # the urns make whoever uses the ids depend on the routes, both when they are made and when they are removed
        urns = pulumi.Output.all(*(resource.urn for resource in ready))
        with_way_out: pulumi.Output[list[str]] = pulumi.Output.all(private, urns).apply(lambda known: list(known[0]))
        return NetworkIds(vpc_id=vpc.id, private=tuple(private), public=tuple(public), nodes=with_way_out)

    def _flow_log(self, name: str, args: NetworkArgs, vpc: aws.ec2.Vpc, tags: Mapping[str, str]) -> None:
        child = pulumi.ResourceOptions(parent=self)
        records = aws.cloudwatch.LogGroup(
            f"{name}-flow-log", retention_in_days=args.log_retention_days, kms_key_id=args.kms_key_arn, tags=tags, opts=child
        )
        role = aws.iam.Role(
            f"{name}-flow-log-role",
            description="VPC flow logs: write into their own log group",
            assume_role_policy=iam_policies.trust("vpc-flow-logs.amazonaws.com"),
            tags=tags,
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-flow-log-policy", role=role.name, policy=records.arn.apply(iam_policies.log_delivery), opts=child
        )
        aws.ec2.FlowLog(
            f"{name}-flow-log",
            vpc_id=vpc.id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=records.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=600,  # seconds; the shorter one writes, and costs, ten times as much
            tags=tags,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[policy])),
        )

    def _nat_gateway(self, name: str, subnet_id: pulumi.Input[str], tags: Mapping[str, str], way_out: aws.ec2.Route) -> aws.ec2.NatGateway:
        child = pulumi.ResourceOptions(parent=self)
        address = aws.ec2.Eip(f"{name}-address", domain="vpc", tags=tags, opts=child)
        return aws.ec2.NatGateway(
            name,
            allocation_id=address.id,
            subnet_id=subnet_id,
            tags=tags,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[way_out])),
        )


def _existing(vpc_id: str, args: NetworkArgs) -> NetworkIds:
    subnets = args.private_subnet_ids
    return NetworkIds(vpc_id=vpc_id, private=subnets, public=args.public_subnet_ids, nodes=subnets)
