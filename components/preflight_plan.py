"""What a stack will ask of an account, from its settings. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components import insights_add_on
from components.spot_pools import OVERFLOW_GROUP

if TYPE_CHECKING:
    from components.settings import Settings

ADD_ONS = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent", "aws-efs-csi-driver")
"""What `eks.Cluster` and the cluster component install as EKS add-ons."""
STANDARD = re.compile(r"([acdhmrtz]\d|i[ms]?\d)")
"""Instance families that share the two Standard quotas: A, C, D, H, I, M, R, T, Z (EC2 user guide, On-Demand and Spot Instance quotas)."""
ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<repository>[^@:]+)@(?P<digest>sha256:[0-9a-f]{64})"
)
"""Reference of an image in ECR."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """A planned node group."""

    name: str
    setting: str
    """Where its largest size stands."""
    instance_types: tuple[str, ...]
    max_size: int
    spot: bool


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the stack needs of the account and region, at its largest."""

    stack: str
    region: str
    account: str | None
    """Account that the stack belongs into; None: any."""
    zones: tuple[str, ...]
    """Zones of the network to make; empty: the network exists."""
    vpc: str | None
    """VPC that exists; None: one is made."""
    subnets: Mapping[str, tuple[str, ...]]
    """Setting to the subnets of that VPC which it names."""
    elastic_ips: int
    groups: tuple[Group, ...]
    cluster: str
    kubernetes_version: str
    add_ons: tuple[str, ...]
    database: str
    engine_version: str
    instance_class: str
    multi_az: bool
    certificate_arn: str | None
    repository: str | None
    """Repository to make; None: the image was built elsewhere."""
    image: str | None
    """Image in an ECR repository that must exist."""
    principals: tuple[str, ...]
    """Roles and users that the cluster will admit."""

    @property
    def vpcs(self) -> int:
        """VPCs to make."""
        return 1 if self.zones else 0

    @property
    def instance_types(self) -> tuple[str, ...]:
        """Every type of every group, once."""
        return tuple(dict.fromkeys(name for group in self.groups for name in group.instance_types))


def wanted(settings: Settings) -> Wanted:
    """What the settings of a stack ask of an account."""
    network, image = settings.network, settings.image
    zones = network.availability_zones if network.vpc_id is None else ()
    core = settings.core
    groups = [Group(name="ng-on-demand", setting="core.maxSize", instance_types=core.instance_types, max_size=core.max_size, spot=False)]
    groups += [
        Group(
            name=group.name,
            setting=f"workers.groups[{index}].maxSize",
            instance_types=group.instance_types,
            max_size=group.max_size,
            spot=True,
        )
        for index, group in enumerate(settings.workers.groups)
    ]
    if settings.workers.fallback == "on-demand":
        overflow = settings.workers.overflow
        groups.append(
            Group(
                name=OVERFLOW_GROUP,
                setting="workers.overflow.maxSize",
                instance_types=overflow.instance_types,
                max_size=overflow.max_size,
                spot=False,
            )
        )
    return Wanted(
        stack=settings.stack,
        region=settings.region,
        account=settings.account,
        zones=zones,
        vpc=network.vpc_id,
        subnets={"network.privateSubnetIds": network.private_subnet_ids, "network.publicSubnetIds": network.public_subnet_ids},
        elastic_ips=0 if not zones else len(zones) if network.nat_gateways == "per-zone" else 1,
        groups=tuple(groups),
        cluster=settings.cluster.name,
        kubernetes_version=settings.cluster.kubernetes_version,
        add_ons=ADD_ONS + ((insights_add_on.ADD_ON,) if settings.cluster.container_insights else ()),
        database=settings.database.identifier,
        engine_version=settings.database.engine_version,
        instance_class=settings.database.instance_class,
        multi_az=settings.database.multi_az,
        certificate_arn=settings.web.certificate_arn,
        repository=image.repository if image.digest is None else None,
        image=image.digest if image.digest and ECR_IMAGE.fullmatch(image.digest) else None,
        principals=settings.cluster.admin_principal_arns,
    )
