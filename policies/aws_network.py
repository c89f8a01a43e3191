"""Who can reach what inside the VPC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from components.planned_values import is_known
from policies.aws_cluster import opens
from policies.rules import Subject, policy

GROUP = "aws:ec2/securityGroup:SecurityGroup"
LEGACY_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
RULES = f"{LEGACY_RULE} {INGRESS_RULE} {EGRESS_RULE}"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
SUBNET = "aws:ec2/subnet:Subnet"
VPC = "aws:ec2/vpc:Vpc"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
STORES = {"aws:rds/instance:Instance", "aws:efs/fileSystem:FileSystem"}
STORE_PORTS = {5432: "PostgreSQL", 2049: "NFS"}
NO_DESCRIPTION = (None, "", "Managed by Pulumi")

# fmt: off
# a table: one rule an entry, its texts where the eye expects them
policy("sg-described", f"{GROUP} {RULES}", "CKV_AWS_23 AWS-0099 AWS-0124",
       "nobody will know why this is open", "say in description what it is for", lambda it: _described(it))
policy("sg-no-open-ingress", f"{GROUP} {RULES}", "CKV_AWS_24 CKV_AWS_25 CKV_AWS_260 CKV_AWS_277 AWS-0107",
       "anybody on the internet may connect", "name the security group that may connect",
       lambda it: [f"from {cidr}" for rule in _rules(it, "ingress") for cidr in _ranges(rule) if opens(cidr) is True])
policy("sg-stores-admit-groups", f"{GROUP} {RULES}", "",
       "whatever has an address in the range may connect", "name the nodes' security group as source instead of a range of addresses",
       lambda it: [f"{STORE_PORTS[port]} from {cidr}" for rule in _rules(it, "ingress") for port in STORE_PORTS if _covers(rule, port)
                   for cidr in _ranges(rule)])
policy("sg-stores-send-nothing", f"{GROUP} {RULES}", "CKV_AWS_382 AWS-0104",
       "database or file system could send data out", "remove the rule: they only answer",
       lambda it: [f"to {cidr}" for rule in _rules(it, "egress") for cidr in _ranges(rule) if opens(cidr) is True] if _of_store(it) else [])
policy("sg-default-closed", DEFAULT_GROUP, "CKV2_AWS_12 AWS-0173",
       "what is put in no group gets into the default one, and that lets it talk", "give it empty ingress and egress",
       lambda it: not it.given("ingress") and not it.given("egress"))
policy("vpc-default-group-managed", VPC, "CKV2_AWS_12 AWS-0173",
       "the VPC's default group keeps AWS's rules", "add a DefaultSecurityGroup without rules",
       lambda it: any(other.resource and other.resource.type == DEFAULT_GROUP for other in it.children))
policy("vpc-flow-logs", VPC, "AWS-0178 CKV2_AWS_11",
       "who talked to whom is not on record", "add a flow log of the VPC",
       lambda it: any(other.given("vpcId") for other in it.plan.subjects(FLOW_LOG)))
policy("subnet-no-public-addresses", SUBNET, "CKV_AWS_130 AWS-0164 CIS-5.4.3",
       "whatever starts here gets a public address", "set mapPublicIpOnLaunch to false", lambda it: it.false("mapPublicIpOnLaunch"))
policy("lb-listener-tls", "aws:lb/listener:Listener", "CKV_AWS_2 CKV_AWS_376 AWS-0054 AWS-0047 CIS-5.4.5",
       "the listener takes connections in clear", "use HTTPS or TLS with an ELBSecurityPolicy-TLS13 policy",
       lambda it: it.at("protocol") in ("HTTPS", "TLS") and "TLS13" in str(it.at("sslPolicy")))
policy("lb-load-balancer-guarded", "aws:lb/loadBalancer:LoadBalancer", "CKV_AWS_91 CKV_AWS_131 CKV_AWS_150 AWS-0052 AWS-0053",
       "a load balancer of our own is public, keeps no log or forwards malformed headers",
       "set internal, accessLogs, dropInvalidHeaderFields and enableDeletionProtection",
       lambda it: all((it.at("internal"), it.given("accessLogs"), it.at("dropInvalidHeaderFields"), it.at("enableDeletionProtection"))))
# fmt: on


def _described(it: Subject) -> bool:
    by_component = it.resource is not None and any(
        cluster.resource and cluster.resource.name == it.resource.parent for cluster in it.plan.subjects("eks:index:Cluster")
    )
    # pulumi-eks gives its own two groups that text and takes no other
    by_component = by_component and it.resource is not None and it.resource.name.endswith(("ClusterSecurityGroup", "nodeSecurityGroup"))
    if it.at("description") in NO_DESCRIPTION and not by_component:
        return False
    return all(rule.get("description") not in NO_DESCRIPTION for kind in ("ingress", "egress") for rule in it.items(kind))


def _rules(it: Subject, direction: str) -> Iterator[Mapping[str, Any]]:
    kind = it.resource.type if it.resource else ""
    if kind == GROUP:
        yield from it.items(direction)
    elif (kind == LEGACY_RULE and it.at("type") == direction) or kind == {"ingress": INGRESS_RULE, "egress": EGRESS_RULE}[direction]:
        yield it.data


def _ranges(rule: Mapping[str, Any]) -> Iterator[str]:
    for key in ("cidrBlocks", "ipv6CidrBlocks"):
        yield from (cidr for cidr in rule.get(key) or [] if is_known(cidr))
    yield from (rule[key] for key in ("cidrIpv4", "cidrIpv6") if isinstance(rule.get(key), str))


def _covers(rule: Mapping[str, Any], port: int) -> bool:
    first, last = rule.get("fromPort"), rule.get("toPort")
    if str(rule.get("protocol", rule.get("ipProtocol"))) == "-1":
        return True
    return isinstance(first, int | float) and isinstance(last, int | float) and first <= port <= last


def _of_store(it: Subject) -> bool:
    return any(other.resource and other.resource.type in STORES for other in it.children)
