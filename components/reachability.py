"""Do nodes reach what they need, and does nothing else? A question to the plan, since no emulator drops packets. Pure.

A managed node group's nodes carry the security groups that its launch template lists and no others; without a template they carry EKS's
own. EKS's own group admits its members to each other, the control plane among them. Everything else needs a rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.planned import PlannedResource

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
CONTROL_PLANE = "the control plane"
SERVED = {
    "aws:rds/instance:Instance": ("vpcSecurityGroupIds", 5432),
    "aws:efs/mountTarget:MountTarget": ("securityGroups", 2049),
}
"""Type to the input that lists its security groups, and the port that nodes need."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Who may reach one port of a security group's members."""

    group: str
    source: str
    """A security group's id, or an address range."""
    is_range: bool
    first: int
    last: int


def node_security_groups(resources: Sequence[PlannedResource], eks_group: str) -> dict[str, frozenset[str]]:
    """Node group to the security groups its nodes carry."""
    templates = {resource.name: resource.inputs for resource in resources if resource.type == LAUNCH_TEMPLATE}
    carried: dict[str, frozenset[str]] = {}
    for resource in resources:
        if resource.type == NODE_GROUP:
            template = templates.get(f"{resource.name}-template", {}) if resource.inputs.get("launchTemplate") else {}
            carried[resource.name] = frozenset(template.get("vpcSecurityGroupIds") or [eks_group])
    return carried


def openings(resources: Sequence[PlannedResource]) -> list[Opening]:
    """Every ingress rule of the plan that stands as a resource of its own."""
    found: list[Opening] = []
    for resource in resources:
        inputs = resource.inputs
        if resource.type == INGRESS_RULE:
            ranges = [inputs[key] for key in ("cidrIpv4", "cidrIpv6", "prefixListId") if inputs.get(key)]
            groups = [inputs["referencedSecurityGroupId"]] if inputs.get("referencedSecurityGroupId") else []
            found += _opened(inputs["securityGroupId"], inputs.get("ipProtocol"), inputs, groups, ranges)
        elif resource.type == OLD_RULE and inputs.get("type") == "ingress":
            found += _opened(inputs["securityGroupId"], inputs.get("protocol"), inputs, *_sources(inputs))
    return found


def _sources(rule: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    groups = [rule["sourceSecurityGroupId"]] if rule.get("sourceSecurityGroupId") else []
    own = [rule["securityGroupId"]] if rule.get("self") else []
    return groups + own, [*(rule.get("cidrBlocks") or []), *(rule.get("ipv6CidrBlocks") or [])]


def _opened(group: str, protocol: str | None, rule: Mapping[str, Any], groups: Sequence[str], ranges: Sequence[str]) -> Iterator[Opening]:
    everything = str(protocol) in ("-1", "all")
    first, last = (0, 65535) if everything else (int(rule.get("fromPort") or 0), int(rule.get("toPort") or 0))
    if str(protocol) in ("tcp", "6") or everything:
        for source, is_range in [*((item, False) for item in groups), *((item, True) for item in ranges)]:
            yield Opening(group=group, source=source, is_range=is_range, first=first, last=last)


def problems(resources: Sequence[PlannedResource], eks_group: str) -> list[str]:
    """What nodes cannot reach, and what reaches more than it should. Empty when the plan is right."""
    nodes = node_security_groups(resources, eks_group)
    bearers: dict[str, set[str]] = {eks_group: {CONTROL_PLANE}}
    for name, groups in nodes.items():
        for group in groups:
            bearers.setdefault(group, set()).add(name)
    found = [
        f"nodes of {name} do not carry EKS's own security group: they cannot reach the Kubernetes API (443) and never join"
        for name, groups in nodes.items()
        if eks_group not in groups
    ]
    found += [
        f"security group {resource.name} has inline rules, which this check cannot tie to it: make each a resource"
        for resource in resources
        if resource.type == SECURITY_GROUP and (resource.inputs.get("ingress") or [])
    ]
    rules = openings(resources)
    for resource in resources:
        if resource.type in SERVED:
            field, port = SERVED[resource.type]
            found += _served(resource, resource.inputs.get(field) or [], port, rules, nodes, bearers)
    return found


def _served(
    resource: PlannedResource,
    groups: Sequence[str],
    port: int,
    rules: Sequence[Opening],
    nodes: Mapping[str, frozenset[str]],
    bearers: Mapping[str, set[str]],
) -> Iterator[str]:
    if not groups:
        yield f"{resource.name} names no security group: it gets the VPC's default one, which admits nobody"
    open_to = [rule for rule in rules if rule.group in groups and rule.first <= port <= rule.last]
    for name, carried in nodes.items():
        if not any(rule.source in carried for rule in open_to if not rule.is_range):
            yield f"nodes of {name} cannot reach {resource.name} on {port}: no group they carry is admitted"
    for rule in (rule for rule in rules if rule.group in groups):
        if rule.is_range:
            yield f"{resource.name} is open to addresses {rule.source}, not only to nodes"
        elif strangers := bearers.get(rule.source, {"no node"}) - nodes.keys():
            yield f"{resource.name} is open to {rule.source}, which {', '.join(sorted(strangers))} carries"
        elif (rule.first, rule.last) != (port, port):
            yield f"{resource.name} is open on {rule.first}-{rule.last}, and nodes need {port} only"
