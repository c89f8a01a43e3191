"""What an account lacks for a stack: AWS's answers compared with what is planned. Pure.

Each shortfall is one sentence with its fix. A question that AWS did not answer (no permission, a timeout) is reported as not asked: it is
no shortfall, and nothing is said to be in order that was not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from components import insights_add_on
from components.preflight_plan import ECR_IMAGE, STANDARD, Wanted

ON_DEMAND_QUOTA, SPOT_QUOTA = "ec2/L-1216C47A", "ec2/L-34B43A08"
ADDRESS_QUOTA, VPC_QUOTA = "ec2/L-0263D0A3", "vpc/L-F678F1CE"
QUOTAS = {
    ON_DEMAND_QUOTA: "Running On-Demand Standard instances (vCPUs)",
    SPOT_QUOTA: "All Standard Spot Instance Requests (vCPUs)",
    ADDRESS_QUOTA: "EC2-VPC Elastic IPs",
    VPC_QUOTA: "VPCs per Region",
}
"""Service and quota code to AWS's name (Service Quotas console)."""
SPOT_ROLE = "AWSServiceRoleForEC2Spot"
Owner = Literal["free", "ours", "others", "asleep"]
"""Whose a name is: nobody's, this stack's (by its cost tags), or somebody else's."""


@dataclass(frozen=True)
class NotAsked:
    """AWS gave no answer."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who asks."""

    account: str
    arn: str


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A running instance."""

    instance_type: str
    vcpus: int
    spot: bool
    ours: bool


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A subnet that exists."""

    vpc: str
    zone: str


@dataclass(frozen=True, kw_only=True)
class ClassOffer:
    """A way to order a database class."""

    zones: frozenset[str]
    multi_az: bool
    storage: str


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What AWS says. A field that is NotAsked got no answer."""

    identity: Identity | NotAsked
    quotas: Mapping[str, float] | NotAsked
    vcpus: Mapping[str, int] | NotAsked
    """Of the planned instance types that exist in the region."""
    machines: tuple[Machine, ...] | NotAsked
    other_addresses: int | NotAsked
    """Elastic IPs of others than this stack."""
    other_vpcs: int | NotAsked
    zones: frozenset[str] | NotAsked
    """Those that are available."""
    subnets: Mapping[str, Subnet] | NotAsked
    """Those of the planned subnets that exist, by id."""
    offered: Mapping[str, frozenset[str]] | NotAsked
    """Zone to the planned types that it has."""
    spot_types: frozenset[str] | NotAsked
    """Those of the planned types that are sold as Spot."""
    spot_role: bool | NotAsked
    kubernetes: str | NotAsked
    """Support status of the planned version: STANDARD_SUPPORT, EXTENDED_SUPPORT, or anything else."""
    running_kubernetes: str | NotAsked
    """Version of the stack's cluster; empty: it has none yet."""
    add_ons: frozenset[str] | NotAsked
    """Add-ons that have a version for the planned Kubernetes version."""
    engine_versions: tuple[str, ...] | NotAsked
    """Versions of PostgreSQL on RDS, newest last."""
    classes: tuple[ClassOffer, ...] | NotAsked
    """Ways to order the planned class with the planned engine version."""
    certificate: str | NotAsked
    """Status of the planned certificate; empty: there is none of that ARN."""
    cluster: Owner | NotAsked
    database: Owner | NotAsked
    repository: Owner | NotAsked
    image: bool | NotAsked
    """Whether the image of the given digest is in its repository."""
    principals: frozenset[str] | NotAsked
    """Those of the planned administrators that do not exist."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One sentence."""

    kind: Literal["shortfall", "note", "not asked"]
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


Rule = Callable[..., Iterator[str | Finding]]
RULES: list[tuple[str, tuple[str, ...], Rule]] = []


def _rule(what: str, *needs: str) -> Callable[[Rule], Rule]:
    """Register a rule: what it looks at, and the answers that it needs, which are its arguments after `wanted`."""

    def register(function: Rule) -> Rule:
        RULES.append((what, needs, function))
        return function

    return register


def judge(wanted: Wanted, answers: Answers) -> list[Finding]:
    """Every shortfall, note and unanswered question; with the wrong credentials only that."""
    identity = answers.identity
    if isinstance(identity, NotAsked):
        return [_shortfall(f"AWS accepts no credentials here ({identity.reason}): log in, or name a profile (AWS_PROFILE, aws:profile)")]
    if wanted.account and identity.account != wanted.account:
        text = f"the credentials are of account {identity.account} ({identity.arn}), the stack belongs into {wanted.account}"
        return [_shortfall(f"{text}: use its profile (AWS_PROFILE, aws:profile), or correct the setting account")]
    found: list[Finding] = []
    for what, needs, rule in RULES:
        values = [getattr(answers, name) for name in needs]
        unanswered = [value.reason for value in values if isinstance(value, NotAsked)]
        if unanswered:
            found.append(Finding(kind="not asked", text=f"{what}: {'; '.join(unanswered)}"))
        else:
            found += [item if isinstance(item, Finding) else _shortfall(item) for item in rule(wanted, *values)]
    return found


def _shortfall(text: str) -> Finding:
    return Finding(kind="shortfall", text=text)


def _note(text: str) -> Finding:
    return Finding(kind="note", text=text)


def _raise(quota: str, value: int, region: str) -> str:
    service, _, code = quota.partition("/")
    command = f"aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code}"
    return f"{command} --desired-value {value} --region {region}"


@_rule("vCPUs against their quotas", "quotas", "vcpus", "machines")
def _vcpus_fit(
    wanted: Wanted, quotas: Mapping[str, float], vcpus: Mapping[str, int], machines: tuple[Machine, ...]
) -> Iterator[str | Finding]:
    for spot, quota in ((False, ON_DEMAND_QUOTA), (True, SPOT_QUOTA)):
        planned, parts = 0, []
        for group in (group for group in wanted.groups if group.spot is spot):
            known = [vcpus[name] for name in group.instance_types if name in vcpus and STANDARD.match(name)]
            if strange := [name for name in group.instance_types if not STANDARD.match(name)]:
                yield _note(f"{', '.join(strange)} of group {group.name} counts against a quota that is not looked at")
            planned += group.max_size * max(known, default=0)
            parts.append(f"{group.setting} {group.max_size}")
        others = sum(one.vcpus for one in machines if one.spot is spot and not one.ours and STANDARD.match(one.instance_type))
        if planned + others > quotas[quota]:
            yield (
                f"{QUOTAS[quota]}: {planned} planned at most and {others} in use by others, the quota is {quotas[quota]:g}: "
                f"{_raise(quota, planned + others, wanted.region)}, or lower {', '.join(parts)}"
            )


@_rule("Elastic IPs against their quota", "quotas", "other_addresses")
def _addresses_fit(wanted: Wanted, quotas: Mapping[str, float], others: int) -> Iterator[str]:
    quota = quotas[ADDRESS_QUOTA]
    if wanted.elastic_ips and wanted.elastic_ips + others > quota:
        yield (
            f"{QUOTAS[ADDRESS_QUOTA]}: {wanted.elastic_ips} for NAT gateways and {others} in use by others, the quota is {quota:g}: "
            f"release some, or {_raise(ADDRESS_QUOTA, wanted.elastic_ips + others, wanted.region)}"
        )


@_rule("VPCs against their quota", "quotas", "other_vpcs")
def _vpcs_fit(wanted: Wanted, quotas: Mapping[str, float], others: int) -> Iterator[str]:
    quota = quotas[VPC_QUOTA]
    if wanted.vpcs and wanted.vpcs + others > quota:
        yield (
            f"{QUOTAS[VPC_QUOTA]}: {others} exist, the quota is {quota:g}: delete one, set network.vpcId to use one, or "
            f"{_raise(VPC_QUOTA, wanted.vpcs + others, wanted.region)}"
        )


@_rule("availability zones", "zones")
def _zones_exist(wanted: Wanted, zones: frozenset[str]) -> Iterator[str]:
    if missing := [zone for zone in wanted.zones if zone not in zones]:
        yield (
            f"network.availabilityZones: this account cannot use {', '.join(missing)} of {wanted.region}: take two or more of "
            f"{', '.join(sorted(zones))}"
        )


@_rule("the existing network", "subnets")
def _network_is_as_named(wanted: Wanted, subnets: Mapping[str, Subnet]) -> Iterator[str]:
    for setting, ids in wanted.subnets.items():
        if missing := [id for id in ids if id not in subnets]:
            yield f"{setting}: {', '.join(missing)} does not exist in this account and {wanted.region}"
        there = [subnets[id] for id in ids if id in subnets]
        if strange := sorted({subnet.vpc for subnet in there} - {str(wanted.vpc)}):
            yield f"{setting}: there are subnets of {', '.join(strange)}, and network.vpcId is {wanted.vpc}: name one VPC and its subnets"
        elif len(there) > 1 and len({subnet.zone for subnet in there}) == 1:
            yield f"{setting}: all are in zone {there[0].zone}, and EKS and RDS want two zones: add a subnet of another"


@_rule("instance types offered in each zone", "vcpus", "zones", "offered")
def _types_are_offered(
    wanted: Wanted, vcpus: Mapping[str, int], zones: frozenset[str], offered: Mapping[str, frozenset[str]]
) -> Iterator[str | Finding]:
    for group in wanted.groups:
        setting = group.setting.replace("maxSize", "instanceTypes")
        if unknown := [name for name in group.instance_types if name not in vcpus]:
            yield f"{setting}: {wanted.region} has no {', '.join(unknown)}: aws ec2 describe-instance-type-offerings lists what it has"
            continue
        for zone in (zone for zone in wanted.zones if zone in zones):
            lacking = [name for name in group.instance_types if name not in offered.get(zone, frozenset())]
            if len(lacking) == len(group.instance_types):
                yield f"{setting}: zone {zone} offers none of {', '.join(lacking)}: take another type, or leave the zone out"
            elif lacking:
                yield _note(f"{setting}: zone {zone} does not offer {', '.join(lacking)}; group {group.name} has fewer pools there")


@_rule("instance types sold as Spot", "vcpus", "spot_types")
def _types_are_sold_as_spot(wanted: Wanted, vcpus: Mapping[str, int], spot_types: frozenset[str]) -> Iterator[str]:
    for group in (group for group in wanted.groups if group.spot):
        if never := [name for name in group.instance_types if name in vcpus and name not in spot_types]:
            setting = group.setting.replace("maxSize", "instanceTypes")
            yield f"{setting}: {', '.join(never)} is sold On-Demand only in {wanted.region}: take another type"


@_rule("the service-linked role of Spot", "spot_role")
def _spot_role_exists(wanted: Wanted, exists: bool) -> Iterator[Finding]:
    if not exists and any(group.spot for group in wanted.groups):
        # AWS's policy AutoScalingServiceRolePolicy lets EC2 Auto Scaling make it (statement EC2SpotManagement)
        yield _note(
            f"the account has no role {SPOT_ROLE}: EC2 Auto Scaling makes it with the first Spot node, unless a service control policy "
            "forbids it; to be sure: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"
        )


@_rule("the Kubernetes version", "kubernetes")
def _kubernetes_is_offered(wanted: Wanted, status: str) -> Iterator[str | Finding]:
    version = f"cluster.kubernetesVersion {wanted.kubernetes_version}"
    if status == "EXTENDED_SUPPORT":
        yield _note(f"{version} is in extended support, at six times the price: upgrade (docs/upgrades.md)")
    elif status != "STANDARD_SUPPORT":
        yield f"{version} is not offered by EKS in {wanted.region}: aws eks describe-cluster-versions lists those that are"


@_rule("the step to the Kubernetes version", "running_kubernetes")
def _kubernetes_moves_one_step(wanted: Wanted, running: str) -> Iterator[str]:
    after = int(wanted.kubernetes_version.partition(".")[2])
    before = int(running.partition(".")[2]) if running else after
    setting = f"cluster.kubernetesVersion {wanted.kubernetes_version}: the cluster runs {running}, and"
    if after > before + 1:
        yield f"{setting} EKS skips no minor version: deploy 1.{before + 1} first"
    if after < before:
        yield f"{setting} an update does not go back: nodes would be newer than their control plane (docs/upgrades.md has AWS's way back)"


@_rule("versions of the add-ons", "kubernetes", "add_ons")
def _add_ons_are_offered(wanted: Wanted, status: str, add_ons: frozenset[str]) -> Iterator[str]:
    missing = [name for name in wanted.add_ons if name not in add_ons]
    if missing and status in ("STANDARD_SUPPORT", "EXTENDED_SUPPORT"):
        version = wanted.kubernetes_version
        without = ", or set cluster.containerInsights to false" if missing == [insights_add_on.ADD_ON] else ""
        yield f"EKS has no version of add-on {', '.join(missing)} for Kubernetes {version}: take another cluster.kubernetesVersion{without}"


@_rule("the database's version and class", "engine_versions", "classes")
def _database_can_be_ordered(wanted: Wanted, versions: tuple[str, ...], classes: tuple[ClassOffer, ...]) -> Iterator[str]:
    if not matching(wanted.engine_version, versions):
        majors = dict.fromkeys(version.partition(".")[0] for version in versions)
        yield f"database.engineVersion {wanted.engine_version} is not offered by RDS in {wanted.region}: take one of {', '.join(majors)}"
        return
    name = f"database.instanceClass {wanted.instance_class}"
    usable = [offer for offer in classes if offer.storage == "gp3" and (offer.multi_az or not wanted.multi_az)]
    if not usable:
        how = "Multi-AZ on gp3 storage" if wanted.multi_az else "gp3 storage"
        yield f"{name} cannot be ordered with PostgreSQL {wanted.engine_version} and {how} in {wanted.region}: take another class"
    elif wanted.zones and not any(set(wanted.zones) & offer.zones for offer in usable):
        zones = sorted({zone for offer in usable for zone in offer.zones})
        yield f"{name} is offered in {', '.join(zones)} only: take one of these zones, or another class"


@_rule("the certificate", "certificate")
def _certificate_is_issued(wanted: Wanted, status: str) -> Iterator[str]:
    if wanted.certificate_arn and status != "ISSUED":
        state = f"is {status}" if status else f"does not exist in this account and region {wanted.region}"
        yield f"web.certificateArn {wanted.certificate_arn} {state}: request one there, and prove the domain, before deploying"


@_rule("whose the names are", "cluster", "database", "repository")
def _names_are_free(wanted: Wanted, cluster: Owner, database: Owner, repository: Owner) -> Iterator[str]:
    names = (("cluster.name", wanted.cluster, "EKS cluster", cluster), ("database.identifier", wanted.database, "database", database))
    for setting, name, what, owner in (*names, ("image.repository", wanted.repository, "ECR repository", repository)):
        if owner == "others":
            yield f"{setting} {name}: {what} of that name exists and is not of stack {wanted.stack}, by its tags: choose another name"


@_rule("whether the stack sleeps", "database")
def _stack_is_awake(wanted: Wanted, database: Owner) -> Iterator[str]:
    if database == "asleep":
        yield f"stack {wanted.stack} is asleep, and nothing can be deployed without nodes: make wake STACK={wanted.stack} first"


@_rule("the image", "image")
def _image_exists(wanted: Wanted, exists: bool) -> Iterator[str]:
    found = ECR_IMAGE.fullmatch(wanted.image or "")
    if found and not exists:
        yield (
            f"image.digest: repository {found['repository']} of account {found['account']} has no image {found['digest'][:19]}...: "
            "was its stack destroyed? Promote an image that exists, or remove image.digest to build one"
        )


@_rule("the cluster's administrators", "principals")
def _principals_exist(wanted: Wanted, missing: frozenset[str]) -> Iterator[str]:
    for arn in (arn for arn in wanted.principals if arn in missing):
        yield f"cluster.adminPrincipalArns: {arn} does not exist, and EKS refuses to admit it: correct it, or make it first"


def matching(wanted: str, versions: tuple[str, ...]) -> list[str]:
    """The versions that a major or complete version stands for."""
    return [version for version in versions if version == wanted or version.startswith(f"{wanted}.")]
