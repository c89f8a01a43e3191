"""What the bill can be split by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from components.cost_tags import COMPONENT_KEYS, KEYS
from components.planned import UNKNOWN
from components.planned_values import is_known, known
from policies.aws_cluster import LAUNCH_TEMPLATE, NODE_GROUP
from policies.rules import RESOURCE, Subject, Verdict, policy

_UNTAGGABLE = """
    aws:autoscaling/tag:Tag aws:ec2/route:Route aws:ec2/routeTableAssociation:RouteTableAssociation
    aws:ec2/securityGroupRule:SecurityGroupRule aws:ecr/lifecyclePolicy:LifecyclePolicy aws:efs/backupPolicy:BackupPolicy
    aws:efs/fileSystemPolicy:FileSystemPolicy aws:efs/mountTarget:MountTarget aws:eks/accessPolicyAssociation:AccessPolicyAssociation
    aws:iam/rolePolicy:RolePolicy aws:iam/rolePolicyAttachment:RolePolicyAttachment aws:route53/record:Record
    """
UNTAGGABLE = frozenset(_UNTAGGABLE.split())
"""AWS types that have no tags; a test compares them with the SDK. None is billed by itself."""
TAG = "aws:autoscaling/tag:Tag"
SERVICE_TAGS = "service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags"
WANTED = (*KEYS, *COMPONENT_KEYS)


@policy("cost-tagged", RESOURCE, "", "what it costs is nobody's on the bill", "give it component_tags(...) of the stack's tags")
def _(it: Subject) -> Verdict:
    type_ = it.resource.type if it.resource else ""
    found: list[str] = []
    if type_.startswith("aws:") and type_ not in UNTAGGABLE:
        found += _lacking("tags", it.at("tags"))
    if type_ == LAUNCH_TEMPLATE:
        for entry in it.items("tagSpecifications"):
            found += _lacking(f"tags of each {entry.get('resourceType')}", entry.get("tags"))
    if type_ == NODE_GROUP and it.resource:
        found += _lacking("tags of its Auto Scaling group", _of_autoscaling_group(it))
    if type_ == "kubernetes:core/v1:Service" and it.at("spec.type") == "LoadBalancer":
        text = known(it.at("metadata.annotations"), Mapping, {}).get(SERVICE_TAGS)
        pairs = (pair.partition("=") for pair in str(text or "").split(","))
        found += _lacking("tags of the load balancer", {key: value for key, _, value in pairs} if is_known(text) else text)
    return UNKNOWN if not found and any(not is_known(value) for value in _values(it)) else found


def _of_autoscaling_group(group: Subject) -> dict[str, Any]:
    """EKS passes no tag on to it; which group a tag is for is known by the names only, before EKS has made it."""
    own = group.resource
    found = [(tag, tag.resource) for tag in group.plan.subjects(TAG)]
    pairs = [tag.at("tag") for tag, at in found if own and at and at.parent == own.parent and at.name.startswith(f"{own.name}-asg-")]
    return {str(known(pair, Mapping, {}).get("key")): known(pair, Mapping, {}).get("value") for pair in pairs}


def _lacking(what: str, tags: Any) -> Iterable[str]:
    if not is_known(tags):
        return []
    missing = [key for key in WANTED if key not in known(tags, Mapping, {}) or tags[key] in (None, "")]
    return [f"{what}: no {', '.join(missing)}"] if missing else []


def _values(it: Subject) -> list[Any]:
    tags = it.at("tags")
    return [tags, *(tags.values() if isinstance(tags, Mapping) else [])]
