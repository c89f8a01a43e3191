"""What an emulator accepts and AWS does not, or accepts and then does nothing with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from components import efs_driver, insights_add_on, reachability
from components.iam_policies import NODE_POLICIES
from components.placement_plan import STARTUP_TAINTS, lasts
from components.planned import UNKNOWN
from components.planned_values import at, is_known, known
from components.spot_pools import EFFECTS
from policies.aws_cluster import ATTACHMENT, CLUSTER, LAUNCH_TEMPLATE, NODE_GROUP, ROLE
from policies.aws_data import DATABASE, FILE_SYSTEM, LOG_GROUP
from policies.aws_network import INGRESS_RULE, LEGACY_RULE, SUBNET
from policies.rules import PLAN, POD, Subject, Verdict, every, listed, policy, some, statements

ADDON = "aws:eks/addon:Addon"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
MOUNT_TARGET = "aws:efs/mountTarget:MountTarget"
IMAGE = "docker-build:index:Image"
CHART = "kubernetes:helm.sh/v3:Release"
ROOT_DEVICE = "/dev/xvda"
TAGGED = {"instance", "volume", "network-interface"}
GP3_IOPS_FROM_GIB = 400
NO_EKS_ZONES = {"us-east-1e"}
STORE_PORTS = {DATABASE: 5432, FILE_SYSTEM: 2049}

# fmt: off
# a table: one rule an entry, its texts where the eye expects them
policy("nodes-carry-both-groups", LAUNCH_TEMPLATE, "",
       "with groups of its own a node no longer carries EKS's, and without ours database and file system refuse it",
       "list EKS's cluster security group and our nodes group in vpcSecurityGroupIds",
       lambda it: UNKNOWN if it.at("vpcSecurityGroupIds") is UNKNOWN else len(known(it.at("vpcSecurityGroupIds"), list, [])) >= 2)
policy("stores-admit-nodes", f"{DATABASE} {FILE_SYSTEM}", "",
       "no rule admits the nodes: every pod would wait for a connection", "add an ingress rule on its port from the nodes' security group",
       lambda it: _admits(it, STORE_PORTS[it.resource.type]) if it.resource else UNKNOWN)
policy("efs-policy-allows", "aws:efs/fileSystemPolicy:FileSystemPolicy", "",
       "the policy replaces EFS's default and locks everybody out, or lets clients in without TLS",
       "allow ClientMount, ClientWrite and ClientRootAccess through a mount target, deny aws:SecureTransport false",
       lambda it: _mountable(statements(it, "policy")))
policy("cni-enforces-network-policies", CLUSTER, "CIS-4.3.2",
       "network policies are accepted and do nothing", 'configure the vpc-cni add-on with {"enableNetworkPolicy": "true"}',
       lambda it: some(*(_enforces(addon) for addon in it.plan.subjects(ADDON) if addon.at("addonName") == "vpc-cni")))
policy("node-role-complete", ROLE, "",
       "nodes never join, or cannot pull images", "attach the policy to the nodes' role", lambda it: _lacking(it))
policy("pod-identity-agent", PLAN, "",
       "pods with a Pod Identity role find no credentials: the agent is missing", "add the add-on eks-pod-identity-agent",
       lambda it: not _uses_pod_identity(it) or any(addon.at("addonName") == "eks-pod-identity-agent" for addon in it.plan.subjects(ADDON)))
policy("pod-identity-trust", ROLE, "",
       "EKS cannot tag the session and refuses to hand out the role", "trust pods.eks.amazonaws.com with sts:AssumeRole and sts:TagSession",
       lambda it: _tags_session(statements(it, "assumeRolePolicy")))
policy("template-leaves-types-to-group", LAUNCH_TEMPLATE, "",
       "EKS refuses a launch template with instance type, market options, role or subnet", "set them on the node group",
       lambda it: [key for key in ("instanceType", "instanceMarketOptions", "iamInstanceProfile", "instanceRequirements") if it.given(key)]
       + ["networkInterfaces.subnetId" for entry in it.items("networkInterfaces") if entry.get("subnetId")])
policy("template-root-device", LAUNCH_TEMPLATE, "",
       "the disk is added beside the root disk, which keeps its default of 20 GiB", f"name the device {ROOT_DEVICE}",
       lambda it: not it.given("blockDeviceMappings")
       or any(entry.get("deviceName") == ROOT_DEVICE for entry in it.items("blockDeviceMappings")))
policy("template-tags-everything", LAUNCH_TEMPLATE, "",
       "instances, disks or network interfaces would carry no cost tags", f"add tagSpecifications for {', '.join(sorted(TAGGED))}",
       lambda it: it.at("tagSpecifications") is UNKNOWN or {entry.get("resourceType") for entry in it.items("tagSpecifications")
                                                            if entry.get("tags") not in (None, {})} >= TAGGED)
policy("group-uses-template", NODE_GROUP, "",
       "the group has no launch template of ours, or one and a disk size, which EKS refuses together",
       "give launchTemplate, and the disk size in it", lambda it: it.given("launchTemplate") and not it.given("diskSize"))
policy("group-names-types", NODE_GROUP, "",
       "EKS would take t3.medium On-Demand", "give instanceTypes and capacityType on the group",
       lambda it: it.given("instanceTypes") and it.given("capacityType"))
policy("group-taint-spelling", NODE_GROUP, "",
       "EKS spells taint effects its own way and refuses this", f"use {', '.join(EFFECTS)}",
       lambda it: [str(taint.get("effect")) for taint in it.items("taints")
                   if is_known(taint.get("effect")) and taint.get("effect") not in EFFECTS])
policy("group-spot-tainted", NODE_GROUP, "",
       "pods that are no tasks land on nodes that may go", "taint the Spot group spotInstance=true, NO_SCHEDULE",
       lambda it: it.at("capacityType") != "SPOT" or it.at("taints") is UNKNOWN or any(
           taint.get("effect") in ("NO_SCHEDULE", "NO_EXECUTE") and taint.get("key") not in STARTUP_TAINTS for taint in it.items("taints")))
policy("startup-taint-comes-off", NODE_GROUP, "",
       "nothing takes the startup taint off: no pod ever runs on the group's nodes",
       f"install a version of {efs_driver.ADD_ON} that does, or set workers.awaitEfsDriver to false", lambda it: _taint_problems(it))
policy("startup-taint-not-on-core", NODE_GROUP, "",
       "the cluster's own programs, CoreDNS too, would wait for the file system's driver: without it nothing runs that could repair it",
       "put startup taints on workers' groups only",
       lambda it: it.at("taints") is UNKNOWN or not _passing(it) or any(map(lasts, it.items("taints"))))
policy("startup-taint-not-tolerated", POD, "",
       "it would start before the node's driver is ready, and fail to mount", "tolerate taints by key, and never a startup taint",
       lambda it: not any(entry.get("key") in STARTUP_TAINTS or (not entry.get("key") and entry.get("operator") == "Exists")
                          for entry in it.items("tolerations")))
policy("startup-taint-told-autoscaler", CHART, "",
       "the autoscaler takes the startup taint for a lasting one: it finds that no pod fits a new node, and starts none",
       "name the taint in the chart's extraArgs.startup-taint",
       lambda it: "autoscaler" not in str(it.at("chart")) or [
           key for key in sorted({key for group in it.plan.subjects(NODE_GROUP) for key in _passing(group)})
           if key != known(it.at("values"), Mapping, {}).get("extraArgs", {}).get("startup-taint")])
policy("pod-toleration-spelling", POD, "",
       "Kubernetes spells taint effects its own way and refuses this", f"use {', '.join(EFFECTS.values())}, or name no effect",
       lambda it: [str(entry["effect"]) for entry in it.items("tolerations")
                   if is_known(entry.get("effect")) and entry.get("effect") not in (None, "", *EFFECTS.values())])
policy("autoscaler-knows-region", CHART, "",
       "the pod cannot ask the instance metadata service, which is one hop too far, and never starts", "set the chart's value awsRegion",
       lambda it: "autoscaler" not in str(it.at("chart")) or it.given("values.awsRegion"))
policy("image-fits-nodes", IMAGE, "",
       "the image is built for the builder's architecture: on the nodes it would not start", "set platforms from the node groups",
       lambda it: _architecture(it))
policy("logs-owned", f"{CLUSTER} {DATABASE} {ADDON}", "",
       "AWS makes the log group itself, without tags and retention, and it outlives the stack", "make the log group first",
       lambda it: _unowned_logs(it))
policy("subnet-zones", SUBNET, "",
       "EKS offers no control plane in this zone", "use the region's ordinary zones (opt-in-not-required, and not us-east-1e)",
       lambda it: UNKNOWN if not is_known(it.at("availabilityZone")) else it.at("availabilityZone") not in NO_EKS_ZONES
       and bool(re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d[a-z]", str(it.at("availabilityZone", "")))))
policy("access-for-others", CLUSTER, "",
       "only whoever creates the cluster can enter it; nobody else can even destroy the Kubernetes half",
       "list roles in cluster.adminPrincipalArns",
       lambda it: bool(it.plan.subjects("aws:eks/accessEntry:AccessEntry")))
policy("add-ons-versioned", ADDON, "",
       "the add-on's version changes by itself between stacks", "give addonVersion, from getAddonVersion or a setting",
       lambda it: it.given("addonVersion"))
policy("rds-snapshot-named", DATABASE, "",
       "a destroy fails: RDS wants a name for the final snapshot", "give finalSnapshotIdentifier with a stored suffix",
       lambda it: some(it.true("skipFinalSnapshot"), it.given("finalSnapshotIdentifier")))
policy("rds-snapshot-unique", DATABASE, "",
       "the second destroy fails: a snapshot of that name exists", "end the name with a random suffix that the state keeps",
       lambda it: not it.given("finalSnapshotIdentifier") or not is_known(it.at("finalSnapshotIdentifier"))
       or bool(re.search(r"-[0-9a-z]{6,}$", str(it.at("finalSnapshotIdentifier")))))
policy("rds-storage-size", DATABASE, "",
       "RDS refuses this storage", "20 GiB or more, the maximum a tenth above it, no iops or throughput on gp3 below 400 GiB",
       lambda it: _storage_problems(it))
policy("rds-standard-support", DATABASE, "",
       "RDS would sell extended support by itself once the version is old",
       "set engineLifecycleSupport to open-source-rds-extended-support-disabled",
       lambda it: it.has("engineLifecycleSupport", "open-source-rds-extended-support-disabled"))
policy("ecr-tag-from-content", IMAGE, "",
       "the second push of an immutable tag fails", "derive the tag from the content",
       lambda it: [str(tag) for tag in it.items("tags") if str(tag).rpartition(":")[2] in ("latest", "main", "dev", "staging", "prod")])
policy("ecr-destroyable", "aws:ecr/repository:Repository", "",
       "a destroy fails while the repository holds images", "set forceDelete from the first day", lambda it: it.true("forceDelete"))
policy("efs-one-target-a-zone", FILE_SYSTEM, "",
       "nodes of a zone without mount target cannot mount", "make a mount target in each zone that has nodes",
       lambda it: _targets(it))
# fmt: on


@policy("nodes-reach-stores", PLAN, "", "the security groups do not let the nodes through, or let others through",
        "admit the nodes' own security group on 5432 and 2049 and nothing else")  # fmt: skip
def _(it: Subject) -> Verdict:
    path = "vpcConfig.clusterSecurityGroupId"  # made by EKS: known once there is a cluster
    eks_group = next((at(cluster.resource.outputs, path) for cluster in it.plan.subjects(CLUSTER) if cluster.resource), None)
    resources = [subject.resource for subject in it.plan.subjects() if subject.resource]
    involved = {*reachability.SERVED, LAUNCH_TEMPLATE, INGRESS_RULE, LEGACY_RULE}
    if not isinstance(eks_group, str) or any(_has_unknown(resource.inputs) for resource in resources if resource.type in involved):
        return UNKNOWN  # ids are known once they exist: the state after a deployment answers
    return reachability.problems(resources, eks_group)


def _passing(group: Subject) -> list[str]:
    return [str(taint.get("key")) for taint in group.items("taints") if not lasts(taint)]


def _taint_problems(it: Subject) -> Verdict:
    if it.at("taints") is UNKNOWN:
        return UNKNOWN
    if efs_driver.STARTUP_TAINT not in _passing(it):
        return True
    versions = [addon.at("addonVersion") for addon in it.plan.subjects(ADDON) if addon.at("addonName") == efs_driver.ADD_ON]
    if not all(map(is_known, versions)):
        return UNKNOWN
    return [why for version in versions if (why := efs_driver.problem(str(version)))] if versions else False


def _has_unknown(inputs: Mapping[str, Any]) -> bool:
    keys = ("vpcSecurityGroupIds", "securityGroups", "securityGroupId", "referencedSecurityGroupId", "sourceSecurityGroupId")
    return any(not is_known(value) for key in keys for value in [inputs.get(key), *listed(inputs.get(key))])


def _admits(it: Subject, port: int) -> bool:
    def covers(rule: Subject) -> bool:
        return rule.number("fromPort", 0, port) is True and rule.number("toPort", port) is True

    rules = [other for other in it.children if other.resource and other.resource.type in (INGRESS_RULE, LEGACY_RULE)]
    return any(covers(rule) and (rule.given("referencedSecurityGroupId") or rule.given("sourceSecurityGroupId")) for rule in rules)


def _mountable(found: list[dict[str, Any]] | None) -> Verdict:
    if found is None:
        return UNKNOWN
    allowed = {action for item in found if item.get("Effect") == "Allow" for action in listed(item.get("Action"))}
    through_target = any(
        "elasticfilesystem:AccessedViaMountTarget" in str(item.get("Condition")) for item in found if item.get("Effect") == "Allow"
    )
    encrypted = any(
        item.get("Effect") == "Deny" and str(at(item, "Condition.Bool", {}).get("aws:SecureTransport")).lower() == "false" for item in found
    )
    wanted = {f"elasticfilesystem:{verb}" for verb in ("ClientMount", "ClientWrite", "ClientRootAccess")}
    return through_target and encrypted and (wanted <= allowed or "elasticfilesystem:*" in allowed)


def _enforces(addon: Subject) -> Verdict:
    values = addon.at("configurationValues", "{}")
    if not is_known(values):
        return UNKNOWN
    try:
        return str(json.loads(values).get("enableNetworkPolicy")).lower() == "true"
    except ValueError:
        return False


def _lacking(it: Subject) -> Verdict:
    trusted = statements(it, "assumeRolePolicy")
    if trusted is None or "ec2.amazonaws.com" not in str(trusted):
        return UNKNOWN if trusted is None else True
    name = it.at("name", it.resource.name if it.resource else "")
    attached = [str(arn) for arn in it.items("managedPolicyArns")]
    for other in it.plan.subjects(ATTACHMENT):
        same_component = other.resource and it.resource and other.resource.parent == it.resource.parent
        role = other.at("role")
        if (not is_known(role) and same_component) or re.fullmatch(rf"{re.escape(str(name))}(-[0-9a-f]{{7}})?", str(role)):
            attached.append(str(other.at("policyArn")))
    return [f"lacks {wanted}" for wanted in NODE_POLICIES if not any(arn.endswith(f"/{wanted}") for arn in attached)]


def _uses_pod_identity(it: Subject) -> bool:
    return bool(it.plan.subjects(ASSOCIATION)) or any(addon.given("podIdentityAssociations") for addon in it.plan.subjects(ADDON))


def _tags_session(trusted: list[dict[str, Any]] | None) -> Verdict:
    if trusted is None:
        return UNKNOWN
    pods = [item for item in trusted if "pods.eks.amazonaws.com" in str(item.get("Principal"))]
    return all({"sts:AssumeRole", "sts:TagSession"} <= set(listed(item.get("Action"))) for item in pods)


def _architecture(it: Subject) -> Verdict:
    platforms = it.at("platforms", [])
    if not is_known(platforms):
        return UNKNOWN
    images = [str(group.at("amiType")) for group in it.plan.subjects(NODE_GROUP) if isinstance(group.at("amiType"), str)]
    wanted = {"linux/arm64" if "ARM_64" in image else "linux/amd64" for image in images}
    return bool(platforms) and wanted <= set(platforms)


def _unowned_logs(it: Subject) -> Verdict:
    if it.resource and it.resource.type == CLUSTER:
        name = it.at("name")
        wanted = [f"/aws/eks/{name}/cluster"] if it.given("enabledClusterLogTypes") else []
    elif it.resource and it.resource.type == ADDON:
        if it.at("addonName") != insights_add_on.ADD_ON:
            return True
        name = it.at("clusterName")
        wanted = list(insights_add_on.log_groups(str(name)).values())
    else:
        name = it.at("identifier")
        wanted = [f"/aws/rds/instance/{name}/{kind}" for kind in it.items("enabledCloudwatchLogsExports")]
    groups = [group.at("name") for group in it.plan.subjects(LOG_GROUP)]
    if wanted and (not isinstance(name, str) or any(not is_known(group) for group in groups)):
        return UNKNOWN
    return [f"{group} is nobody's" for group in wanted if group not in groups]


def _storage_problems(it: Subject) -> Verdict:
    size, most = it.at("allocatedStorage", 0), it.at("maxAllocatedStorage")
    if not isinstance(size, int | float):
        return UNKNOWN
    found = [f"{size:g} GiB allocated"] if size < 20 else []
    if isinstance(most, int | float) and most < size * 1.1:
        found.append(f"maximum {most:g} for {size:g} GiB")
    if it.at("storageType") == "gp3" and size < GP3_IOPS_FROM_GIB:
        found += [f"{key} on {size:g} GiB of gp3" for key in ("iops", "storageThroughput") if it.given(key)]
    return found


def _targets(it: Subject) -> Verdict:
    targets = [other for other in it.children if other.resource and other.resource.type == MOUNT_TARGET]
    groups = [group.at("subnetIds") for group in it.plan.subjects(NODE_GROUP)]
    wanted = [set(map(str, ids)) for ids in groups if isinstance(ids, list) and all(map(is_known, ids))]
    subnets = [target.at("subnetId") for target in targets]
    if not targets or any(not is_known(subnet) for subnet in subnets) or len(wanted) < len(groups):
        return bool(targets) if not targets else every(len(targets) >= 2, UNKNOWN)
    return all(ids <= set(map(str, subnets)) for ids in wanted)
