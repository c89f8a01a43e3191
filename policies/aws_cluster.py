"""Control plane, nodes, keys and identities."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from components.planned import UNKNOWN
from components.planned_values import is_known
from components.settings_rule import WIDEST_PREFIX
from components.settings_rules_cluster import KUBERNETES_VERSIONS
from policies.rules import PLAN, Subject, Verdict, every, listed, policy, statements

CLUSTER = "aws:eks/cluster:Cluster"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
KEY = "aws:kms/key:Key"
ROLE = "aws:iam/role:Role"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
POLICY_DOCUMENTS = "aws:iam/policy:Policy aws:iam/rolePolicy:RolePolicy"
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
READING = ("Describe", "Get", "List", "BatchGet", "BatchCheck", "Lookup")


def opens(cidr: Any) -> Verdict:
    """Whether a range lets in so many strangers that it counts as the internet."""
    if not is_known(cidr):
        return UNKNOWN
    network = ipaddress.ip_network(cidr, strict=False)
    return network.prefixlen == 0 or (network.prefixlen < WIDEST_PREFIX[network.version] and network.is_global)


# fmt: off
# a table: one rule an entry, its texts where the eye expects them
policy("eks-api-not-open", CLUSTER, "CKV_AWS_38 AWS-0041 CIS-5.4.1",
       "the Kubernetes API answers the whole internet, which is AWS's default",
       "list the addresses you deploy from in cluster.publicAccessCidrs, or set cluster.endpointPublic to false",
       lambda it: it.false("vpcConfig.endpointPublicAccess", True) is True
       or (it.given("vpcConfig.publicAccessCidrs") and every(*(not opens(cidr) for cidr in it.items("vpcConfig.publicAccessCidrs")))))
policy("eks-private-endpoint", CLUSTER, "CKV_AWS_39 AWS-0040 CIS-5.4.2",
       "nodes reach the Kubernetes API over the internet", "set endpointPrivateAccess",
       lambda it: it.true("vpcConfig.endpointPrivateAccess"))
policy("eks-no-public-endpoint", CLUSTER, "CKV_AWS_39 AWS-0040 CIS-5.4.2",
       "the Kubernetes API has a public address", "set cluster.endpointPublic to false and deploy from inside the VPC",
       lambda it: it.false("vpcConfig.endpointPublicAccess", True))
policy("eks-logs", CLUSTER, "CKV_AWS_37 AWS-0038 CIS-2.1.1",
       "what happens in the control plane is not on record", f"enable the log types {', '.join(LOG_TYPES)}",
       lambda it: it.covers("enabledClusterLogTypes", *LOG_TYPES))
policy("eks-secrets-encrypted", CLUSTER, "CKV_AWS_58 AWS-0039 CIS-5.3.1 C-0066",
       "Kubernetes Secrets are not encrypted with a key of ours", "give encryptionConfig for secrets with a KMS key",
       lambda it: every(it.covers("encryptionConfig.resources", "secrets"), it.given("encryptionConfig.provider.keyArn")))
policy("eks-version-supported", CLUSTER, "CKV_AWS_339",
       "the Kubernetes version is out of standard support and costs six times as much", f"use one of {', '.join(KUBERNETES_VERSIONS)}",
       lambda it: it.has("version", *KUBERNETES_VERSIONS))
policy("eks-standard-support", CLUSTER, "",
       "EKS would sell extended support by itself once the version is old", "set upgradePolicy.supportType to STANDARD",
       lambda it: it.has("upgradePolicy.supportType", "STANDARD", default="EXTENDED"))
policy("eks-access-entries", CLUSTER, "CIS-4.1.7",
       "who may enter the cluster is kept in a ConfigMap that anybody in kube-system can edit", "set authentication mode API",
       lambda it: it.has("accessConfig.authenticationMode", "API", default="CONFIG_MAP"))
policy("eks-no-aws-auth", "kubernetes:core/v1:ConfigMap", "KSV-0115",
       "aws-auth gives access behind the back of access entries", "use EKS access entries (cluster.adminPrincipalArns)",
       lambda it: it.at("metadata.name") != "aws-auth")
policy("kms-rotation", KEY, "CKV_AWS_7 AWS-0065",
       "the key is never changed", "set enableKeyRotation", lambda it: it.true("enableKeyRotation"))
policy("kms-enabled", KEY, "CKV_AWS_227", "the key is disabled: what it encrypts cannot be read", "leave isEnabled true",
       lambda it: it.true("isEnabled", True))
policy("nodes-no-ssh", f"{NODE_GROUP} {LAUNCH_TEMPLATE}", "CKV_AWS_100 AWS-0107",
       "somebody with a key can log in to the nodes", "remove remoteAccess and keyName; SSM sessions need neither",
       lambda it: not it.given("remoteAccess") and not it.given("keyName"))
policy("nodes-no-public-address", LAUNCH_TEMPLATE, "CIS-5.4.3",
       "nodes have public addresses", "remove associatePublicIpAddress",
       lambda it: every(*(entry.get("associatePublicIpAddress") not in (True, "true") for entry in it.items("networkInterfaces"))))
policy("nodes-imdsv2", LAUNCH_TEMPLATE, "CKV_AWS_79 AWS-0028 AWS-0130",
       "a request forged in a pod can read the node's credentials", "set httpTokens required",
       lambda it: it.has("metadataOptions.httpTokens", "required"))
policy("nodes-imds-hop-limit", LAUNCH_TEMPLATE, "CKV_AWS_341 C-0052",
       "pods can take the node's credentials", "set httpPutResponseHopLimit 1; pods get roles by Pod Identity",
       lambda it: it.number("metadataOptions.httpPutResponseHopLimit", 1, 1))
# fmt: on


@policy(
    "nodes-encrypted-disk", LAUNCH_TEMPLATE, "AWS-0131 AWS-0026", "the nodes' disks are not encrypted gp3", "map an encrypted gp3 volume"
)
def _(it: Subject) -> Verdict:
    disks = [entry.get("ebs") or {} for entry in it.items("blockDeviceMappings")]
    return bool(disks) and all(disk.get("encrypted") in (True, "true") and disk.get("volumeType") == "gp3" for disk in disks)


@policy("kms-no-stranger", KEY, "CKV_AWS_33", "the key's policy lets everybody in", "name accounts, roles or services as principals")
def _(it: Subject) -> Verdict:
    found = statements(it, "policy")
    return UNKNOWN if found is None else not any(_for_anyone(item) for item in found)


@policy("iam-trust-named", ROLE, "CKV_AWS_60", "anybody may take the role", "name the service that takes it as principal")
def _(it: Subject) -> Verdict:
    found = statements(it, "assumeRolePolicy")
    return UNKNOWN if found is None else not any(_for_anyone(item) for item in found)


@policy("iam-no-star", f"{POLICY_DOCUMENTS} {ROLE}", "CKV_AWS_63 CKV_AWS_355 AWS-0057 AWS-0342",
        "the policy allows more than its purpose needs", "list the actions; give writes a resource or a condition")  # fmt: skip
def _(it: Subject) -> Verdict:
    documents = [statements(it, "policy")] if it.given("policy") else []
    documents += [statements(it, f"inlinePolicies.{index}.policy") for index in range(len(it.items("inlinePolicies")))]
    if any(document is None for document in documents):
        return UNKNOWN
    found = []
    for item in (item for document in documents for item in document or [] if item.get("Effect") == "Allow"):
        if item.get("NotAction") is not None:
            found.append("NotAction allows everything else")
        for action in listed(item.get("Action")):
            service, _, verb = str(action).partition(":")
            if "*" in service or verb == "*":
                found.append(f"action {action}")
            elif verb.startswith(READING):
                continue
            elif "*" in listed(item.get("Resource")) and not item.get("Condition"):
                found.append(f"{action} on every resource without a condition")
    return found


@policy(
    "iam-autoscaler-own-groups",
    POLICY_DOCUMENTS,
    "",
    "the autoscaler could resize or stop groups of other clusters",
    "limit its writes by aws:ResourceTag/k8s.io/cluster-autoscaler/CLUSTER = owned",
)
def _(it: Subject) -> Verdict:
    found = statements(it, "policy")
    if found is None:
        return UNKNOWN
    writes = [item for item in found if re.search("autoscaling:(SetDesiredCapacity|TerminateInstance)", str(item.get("Action")))]
    return all("k8s.io/cluster-autoscaler/" in str(item.get("Condition")) for item in writes)


@policy("iam-no-administrator", ATTACHMENT, "CKV_AWS_274", "the role may do anything in the account", "attach what its purpose needs")
def _(it: Subject) -> Verdict:
    arn = it.at("policyArn")
    return not str(arn).endswith(("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")) if is_known(arn) else UNKNOWN


@policy("iam-boundary-everywhere", PLAN, "", "the account demands a boundary on every role and refuses this one, in the middle of an up",
        "set iam.permissionsBoundaryArn, which reaches every role")  # fmt: skip
def _(it: Subject) -> Verdict:
    roles = it.plan.subjects(ROLE)
    return (
        [role.name for role in roles if not role.given("permissionsBoundary")] if any(r.given("permissionsBoundary") for r in roles) else []
    )


@policy("iam-no-static-keys", PLAN, "CKV_AWS_273", "access keys do not expire", "use Pod Identity and roles")
def _(it: Subject) -> Verdict:
    return [subject.name for subject in it.plan.subjects("aws:iam/accessKey:AccessKey", "aws:iam/user:User")]


def _for_anyone(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal")
    names = [name for value in principal.values() for name in listed(value)] if isinstance(principal, dict) else listed(principal)
    return statement.get("Effect") == "Allow" and "*" in names and not statement.get("Condition")
