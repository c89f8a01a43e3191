"""What each resource of a plan costs. Pure.

PRICED has a function for each type that is billed, and cost_free a reason for each type that is not. A type in neither is an error of these
tables: the estimate shows it as unknown, and a test fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from components import insights_add_on
from components.cost_items import Context, Item, NotPriced, Pricer, names, number
from components.cost_money import HOURS_PER_MONTH, UNKNOWN_MONEY
from components.cost_nodes import NODE_GROUP, node_groups
from components.planned import PlannedResource
from components.planned_values import at

LOAD_BALANCER = "service.beta.kubernetes.io/aws-load-balancer-"
DAYS_PER_MONTH = HOURS_PER_MONTH / 24


def _each(label: str, part: str, item: str, unit: str, hours: bool = False) -> Pricer:
    """Resources of a type of which every one costs the same."""

    def pricer(resources: Sequence[PlannedResource], context: Context) -> Iterator[Item]:
        money, basis = context.price(item)
        each = money * HOURS_PER_MONTH if hours else money
        yield Item(label=label, part=part, count=Decimal(len(resources)), unit=unit, each=each, resources=names(resources), basis=basis)

    return pricer


def _used(label: str, part: str, item: str, quantity: Decimal, context: Context, resources: Sequence[PlannedResource]) -> Item:
    """Something that is billed by an assumed number of GB."""
    each, basis = context.price(item)
    return Item(label=label, part=part, count=quantity, unit="GB", each=each, resources=names(resources), basis=basis)


def _nat(resources: Sequence[PlannedResource], context: Context) -> Iterator[Item]:
    yield from _each("NAT gateway", "network", "nat", "gateway", hours=True)(resources, context)  # type: ignore[misc]
    yield _used("NAT data", "network", "nat data", context.assumptions.nat_gb, context, resources)


def _endpoints(resources: Sequence[PlannedResource], context: Context) -> Iterator[Item | NotPriced]:
    interfaces = []
    zones: Decimal | None = Decimal(0)
    for resource in resources:
        if resource.inputs.get("vpcEndpointType", "Gateway") == "Gateway":
            yield NotPriced(resource=resource, reason="gateway endpoints are free")
            continue
        interfaces.append(resource)
        subnets = resource.inputs.get("subnetIds")
        zones = zones + len(subnets) if zones is not None and isinstance(subnets, list | tuple) else None
    if interfaces:
        each, basis = context.price("endpoint")
        each = each * HOURS_PER_MONTH if zones is not None else UNKNOWN_MONEY
        count = Decimal(len(interfaces)) if zones is None else zones
        unit = "endpoint in unknown zones" if zones is None else "endpoint and zone"
        yield Item(label="Interface endpoints", part="network", count=count, unit=unit, each=each, resources=names(interfaces), basis=basis)
        yield _used("Interface endpoint data", "network", "endpoint data", context.assumptions.endpoint_gb, context, interfaces)


def _services(resources: Sequence[PlannedResource], context: Context) -> Iterator[Item | NotPriced]:
    for resource in resources:
        if at(resource.inputs, "spec.type", "ClusterIP") != "LoadBalancer":
            yield NotPriced(resource=resource, reason="a Service without a load balancer is a rule inside the cluster")
            continue
        annotations = at(resource.inputs, "metadata.annotations", {}) or {}
        shown = names([resource])
        if annotations.get(f"{LOAD_BALANCER}type") not in ("nlb", "external", "nlb-ip"):
            yield Item(
                label=f"Load balancer {resource.name}",
                part="web",
                count=Decimal(1),
                unit="Classic Load Balancer",
                each=UNKNOWN_MONEY,
                resources=shown,
                basis=("Classic Load Balancer: no price known",),
            )
            continue
        hour, basis = context.price("nlb")
        load, load_basis = context.price("nlb lcu")
        each = (hour + load * context.assumptions.load_balancer_lcu) * HOURS_PER_MONTH
        yield Item(
            label=f"Load balancer {resource.name}",
            part="web",
            count=Decimal(1),
            unit="Network Load Balancer",
            each=each,
            resources=shown,
            basis=(*basis, *load_basis),
        )
        internal = annotations.get(f"{LOAD_BALANCER}internal") == "true" or annotations.get(f"{LOAD_BALANCER}scheme") == "internal"
        if not internal:
            address, basis = context.price("public ipv4")
            yield Item(
                label="Load balancer addresses",
                part="web",
                count=Decimal(context.zones),
                unit="public IPv4 address",
                each=address * HOURS_PER_MONTH,
                resources=shown,
                basis=basis,
            )


def _add_ons(resources: Sequence[PlannedResource], context: Context) -> Iterator[NotPriced]:
    for resource in resources:
        by_use = resource.inputs.get("addonName") == insights_add_on.ADD_ON
        reason = (
            "Container Insights is billed by observation: by how many pods run, and for how long"
            if by_use
            else "runs on nodes that are priced"
        )
        yield NotPriced(resource=resource, reason=reason)


def _databases(resources: Sequence[PlannedResource], context: Context) -> Iterator[Item]:
    for resource in resources:
        name = str(resource.inputs.get("instanceClass", "unknown class"))
        double = resource.inputs.get("multiAz") in (True, "true")
        engine = resource.inputs.get("engine", "postgres")
        hour, basis = context.price(f"rds {name}" if engine == "postgres" else f"rds {engine} {name}")
        if double:
            basis = (*basis, "standby in a second zone taken as twice the price of one zone")
        yield Item(
            label="RDS PostgreSQL" if engine == "postgres" else f"RDS {engine}",
            part="database",
            count=Decimal(1),
            unit=f"{name}, {'two zones' if double else 'one zone'}",
            each=hour * HOURS_PER_MONTH * (2 if double else 1),
            resources=names([resource]),
            basis=basis,
        )
        size = number(resource.inputs.get("allocatedStorage"))
        gp = resource.inputs.get("storageType", "gp2") in ("gp2", "gp3")
        each, basis = context.price(
            ("rds storage multi-az" if double else "rds storage") if gp else f"rds {resource.inputs['storageType']}"
        )
        yield Item(
            label="RDS storage",
            part="database",
            count=Decimal(1) if size is None else size,
            unit="GB",
            each=UNKNOWN_MONEY if size is None else each,
            resources=names([resource]),
            basis=basis,
        )


def _file_systems(resources: Sequence[PlannedResource], context: Context) -> Iterator[Item]:
    for resource in resources:
        one_zone = bool(resource.inputs.get("availabilityZoneName"))
        yield _used("EFS storage", "storage", "efs one zone" if one_zone else "efs", context.assumptions.efs_gb, context, [resource])


def _backups(resources: Sequence[PlannedResource], context: Context) -> Iterator[Item | NotPriced]:
    for resource in resources:
        if at(resource.inputs, "backupPolicy.status") == "ENABLED":
            yield _used("EFS backups", "storage", "efs backup", context.assumptions.efs_gb, context, [resource])
        else:
            yield NotPriced(resource=resource, reason="backups are switched off")


def _log_groups(resources: Sequence[PlannedResource], context: Context) -> Iterator[Item]:
    taken_in = context.assumptions.log_gb_per_group
    yield _used("CloudWatch logs, taken in", "cluster", "logs", taken_in * len(resources), context, resources)
    days = [number(resource.inputs.get("retentionInDays")) or Decimal(0) for resource in resources]
    kept, basis = context.price("logs kept")
    if not all(days):  # 0 or absent: kept for ever, so no month's sum is the last
        kept, basis = UNKNOWN_MONEY, ("logs kept: a group without retention grows for ever",)
    gb = (taken_in * sum(days) / DAYS_PER_MONTH).quantize(Decimal("0.1")) or Decimal(1)
    yield Item(label="CloudWatch logs, kept", part="cluster", count=gb, unit="GB", each=kept, resources=names(resources), basis=basis)


def _images(resources: Sequence[PlannedResource], context: Context) -> Iterator[Item]:
    yield _used("ECR images", "registry", "ecr", context.assumptions.image_gb * len(resources), context, resources)


def _buckets(resources: Sequence[PlannedResource], context: Context) -> Iterator[Item]:
    yield _used("S3 storage", "storage", "s3", context.assumptions.log_archive_gb * len(resources), context, resources)


def _claims(resources: Sequence[PlannedResource], context: Context) -> Iterator[Item | NotPriced]:
    for resource in resources:
        # many pods on many nodes can only share a file system, and which volume it is may not be known yet
        if at(resource.inputs, "spec.volumeName") is not None or "ReadWriteMany" in (at(resource.inputs, "spec.accessModes") or ()):
            yield NotPriced(resource=resource, reason="a claim on a volume of the shared file system, which is priced itself")
        else:  # a volume made on demand: its kind is the storage class's
            yield Item(
                label=f"Volume {resource.name}",
                part="storage",
                count=Decimal(1),
                unit="volume",
                each=UNKNOWN_MONEY,
                resources=names([resource]),
                basis=("volume of a storage class: no price known",),
            )


PRICED: Mapping[str, Pricer] = {
    "aws:eks/cluster:Cluster": _each("EKS control plane", "cluster", "eks", "cluster", hours=True),
    "aws:eks/addon:Addon": _add_ons,
    NODE_GROUP: node_groups,
    "aws:ec2/natGateway:NatGateway": _nat,
    "aws:ec2/eip:Eip": _each("Public addresses", "network", "public ipv4", "public IPv4 address", hours=True),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoints,
    "kubernetes:core/v1:Service": _services,
    "aws:rds/instance:Instance": _databases,
    "aws:efs/fileSystem:FileSystem": _file_systems,
    "aws:efs/backupPolicy:BackupPolicy": _backups,
    "kubernetes:core/v1:PersistentVolumeClaim": _claims,
    "aws:ecr/repository:Repository": _images,
    "aws:s3/bucket:Bucket": _buckets,
    "aws:s3/bucketV2:BucketV2": _buckets,
    "aws:cloudwatch/logGroup:LogGroup": _log_groups,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _each("CloudWatch alarms", "workers", "alarm", "alarm"),
    "aws:kms/key:Key": _each("KMS keys", "cluster", "kms", "key"),
    "aws:secretsmanager/secret:Secret": _each("Secrets Manager", "cluster", "secret", "secret"),
}
"""In the order of the table."""
