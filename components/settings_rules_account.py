"""Rules for whose a stack is and where: region, account, tags, roles and key, network. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from components import cost_tags, network_plan
from components.settings_parser import Problem
from components.settings_rule import matches, registered, retention

if TYPE_CHECKING:
    from components import settings as kinds

_REGIONS = (
    "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2"
    " ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 eu-central-1 eu-central-2"
    " eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1"
    " us-east-1 us-east-2 us-west-1 us-west-2"
)
REGIONS = tuple(_REGIONS.split())
"""Regions with EKS in the partition `aws` (botocore 1.44); other partitions spell ARNs differently and are not supported."""


@registered
def region_exists(region: str) -> Iterator[Problem]:
    """Other AWS clients would time out on a name that does not resolve."""
    if region not in REGIONS:
        near = difflib.get_close_matches(region, REGIONS, n=1)
        hint = f"did you mean {near[0]}?" if near else "pulumi config set aws:region us-west-2"
        yield Problem(setting="aws:region", value=region, rule="unknown region", way_out=hint)


@registered
def stack_and_environment_agree(stack: str, environment: str) -> Iterator[Problem]:
    """A stack called prod that is a dev stack would slip past every rule for production."""
    if stack in ("dev", "staging", "prod") and stack != environment:
        yield Problem(setting="environment", value=environment, rule=f"the stack is called {stack}", way_out=f"set it to {stack}")


@registered
def account_is_a_number(account: str | None) -> Iterator[Problem]:
    """YAML makes a number of digits, and drops a leading zero."""
    yield from matches("account", account, r"\d{12}", "an account id has 12 digits", "put it in quotes")


@registered
def tags_are_legal(tags: Mapping[str, str]) -> Iterator[Problem]:
    """A user's tags neither break AWS's limits nor replace those that split the bill."""
    for key, problem in cost_tags.problems(tags).items():
        yield Problem(setting=f"tags.{key}" if key else "tags", rule=problem)


@registered
def owner_and_cost_center_are_tag_values(owner: str, cost_center: str) -> Iterator[Problem]:
    """Both become tags."""
    for setting, value in (("owner", owner), ("costCenter", cost_center)):
        if len(value) > cost_tags.MAX_VALUE:
            yield Problem(setting=setting, rule=f"a tag's value has at most {cost_tags.MAX_VALUE} characters, this one {len(value)}")


@registered
def boundary_and_key_exist_by_their_names(iam: kinds.IamSettings, encryption: kinds.EncryptionSettings, region: str) -> Iterator[Problem]:
    """ARNs of what somebody else made."""
    pattern = r"arn:aws:iam::(\d{12}|aws):policy/[\w+=,.@/-]+"
    rule = "is no IAM policy (arn:aws:iam::ACCOUNT:policy/NAME)"
    yield from matches("iam.permissionsBoundaryArn", iam.permissions_boundary_arn, pattern, rule)
    arn = encryption.kms_key_arn
    way_out = "give the key's own ARN: an alias can be moved to another key"
    yield from matches(
        "encryption.kmsKeyArn", arn, r"arn:aws:kms:[a-z0-9-]+:\d{12}:key/[\w-]+", "is no KMS key (arn:aws:kms:...:key/ID)", way_out
    )
    home = (arn or "").split(":")[3:4]
    if home and home != [region]:
        yield Problem(setting="encryption.kmsKeyArn", rule=f"is of region {home[0]}, the stack is in {region}")


@registered
def network_is_new_or_existing(network: kinds.NetworkSettings, web: kinds.WebSettings) -> Iterator[Problem]:
    """An existing VPC comes with its subnets."""
    if network.vpc_id is None:
        for name, ids in (("privateSubnetIds", network.private_subnet_ids), ("publicSubnetIds", network.public_subnet_ids)):
            if ids:
                yield Problem(setting=f"network.{name}", rule="subnets of which VPC?", way_out="set network.vpcId too, or remove them")
        return
    yield from matches("network.vpcId", network.vpc_id, r"vpc-[0-9a-f]{8,17}", "is no VPC id (vpc-...)")
    needed = [("privateSubnetIds", network.private_subnet_ids, True)]
    needed += [("publicSubnetIds", network.public_subnet_ids, bool(web.allowed_cidrs))]
    for name, ids, required in needed:
        if len(set(ids)) < network_plan.MIN_ZONES and (required or ids):
            yield Problem(setting=f"network.{name}", value=list(ids), rule="an existing VPC needs two or more, in different zones")
        for item in ids:
            yield from matches(f"network.{name}", item, r"subnet-[0-9a-f]{8,17}", "is no subnet id (subnet-...)")


@registered
def network_fits(network: kinds.NetworkSettings, region: str, core: kinds.CoreSettings, workers: kinds.WorkerSettings) -> Iterator[Problem]:
    """A new VPC has room, and zones that can carry the cluster."""
    if network.vpc_id is not None:
        return
    yield from retention("network.logRetentionDays", network.log_retention_days)
    ranges = network_plan.vpc_problems(network.vpc_cidr)
    for problem in ranges:
        yield Problem(setting="network.vpcCidr", value=network.vpc_cidr, rule=problem)
    for problem in network_plan.zone_problems(network.availability_zones, region):
        yield Problem(setting="network.availabilityZones", rule=problem, way_out="zones of an account: aws ec2 describe-availability-zones")
    overflow = workers.overflow.max_size if workers.fallback == "on-demand" else 0
    nodes = core.max_size + sum(group.max_size for group in workers.groups) + overflow
    room = None if ranges else network_plan.room_problem(network.vpc_cidr, len(network.availability_zones), nodes)
    if room:
        yield Problem(setting="network.vpcCidr", value=network.vpc_cidr, rule=room, way_out="give a larger range or fewer nodes")
