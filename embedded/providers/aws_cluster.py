"""EKS and Auto Scaling types of the embedded AWS provider."""

from __future__ import annotations

import time
from typing import Any

from embedded.providers.aws_table import Call, Context, Input, Kind, Values, changeable, fixed, local, simple_tags
from embedded.providers.server import ProviderError

EKS_TAGS = simple_tags("TagResource", "UntagResource", {"resourceArn": "{arn}"}, keys="tagKeys", name="tags", read="tags", form="map")
PARTS = {"clusterName": "{clusterName}"}
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
UPDATE_PATIENCE = 120
"""Seconds that an update may take."""
CONFIG_UPDATES = ("resourcesVpcConfig", "logging", "accessConfig", "upgradePolicy", "deletionProtection", "zonalShiftConfig")


def logging(types: list[str]) -> Values:
    """Log types as AWS's cluster logging, those left out turned off."""
    off = [name for name in LOG_TYPES if name not in types]
    setups = [{"types": names, "enabled": enabled} for names, enabled in ((types, True), (off, False)) if names]
    return {"clusterLogging": setups}


def update_cluster(context: Context) -> None:
    """AWS takes one aspect of a cluster an update, one after the other; the version comes first, as in the real provider."""
    before, after = (context.request("CreateCluster", values) for values in (context.olds, context.inputs))
    if before.get("version") != after.get("version") and after.get("version"):
        context.ask("eks", "UpdateClusterVersion", {"name": context.id, "version": after["version"]})
        settled(context, "DescribeCluster", "cluster", {"name": context.id})
    for key in CONFIG_UPDATES:
        if before.get(key) == after.get(key):
            continue
        value = after.get(key, {} if isinstance(before.get(key), dict) else False)
        if key == "accessConfig":
            value = {"authenticationMode": value.get("authenticationMode")}
        context.ask("eks", "UpdateClusterConfig", {"name": context.id, key: value or logging([]) if key == "logging" else value})


def settled(context: Context, operation: str, kind: str, params: Values) -> None:
    """Wait while something is UPDATING: AWS refuses a further change until then."""
    deadline = time.monotonic() + UPDATE_PATIENCE
    while context.ask("eks", operation, params)[kind]["status"] == "UPDATING":
        if time.monotonic() > deadline:
            raise ProviderError(f"{context.id} is UPDATING after {UPDATE_PATIENCE} seconds")
        time.sleep(0.3)


def update_node_group(context: Context) -> None:
    """Sizes, labels and taints by one operation, versions by another."""
    before, after = (context.request("CreateNodegroup", values) for values in (context.olds, context.inputs))
    group = {"clusterName": context["clusterName"], "nodegroupName": context["nodeGroupName"]}
    config: Values = {}
    if before.get("scalingConfig") != after.get("scalingConfig"):
        config["scalingConfig"] = after["scalingConfig"]
    if before.get("labels") != after.get("labels"):
        new, old = after.get("labels") or {}, before.get("labels") or {}
        added = {key: value for key, value in new.items() if old.get(key) != value}
        config["labels"] = {"addOrUpdateLabels": added, "removeLabels": [key for key in old if key not in new]}
    if before.get("taints") != after.get("taints"):
        new_taints, old_taints = after.get("taints") or [], before.get("taints") or []
        kept = {(item["key"], item["effect"]) for item in new_taints}
        removed = [item for item in old_taints if (item["key"], item["effect"]) not in kept]
        config["taints"] = {"addOrUpdateTaints": [item for item in new_taints if item not in old_taints], "removeTaints": removed}
    for key in ("updateConfig", "nodeRepairConfig"):
        if before.get(key) != after.get(key) and after.get(key):
            config[key] = after[key]
    if config:
        context.ask("eks", "UpdateNodegroupConfig", group | config)
        settled(context, "DescribeNodegroup", "nodegroup", group)
    version = {
        key: after[key] for key in ("version", "releaseVersion", "launchTemplate") if after.get(key) and after[key] != before.get(key)
    }
    if "launchTemplate" in version and version["launchTemplate"].get("id"):
        version["launchTemplate"] = {key: value for key, value in version["launchTemplate"].items() if key != "name"}
    if version:
        context.ask("eks", "UpdateNodegroupVersion", group | version | {"force": bool(context["forceUpdateVersion"])})


def create_addon(context: Context) -> Values:
    """`resolveConflictsOnCreate` is the create operation's `resolveConflicts`."""
    params = context.request("CreateAddon")
    if context["resolveConflictsOnCreate"]:
        params["resolveConflicts"] = context["resolveConflictsOnCreate"]
    return context.ask("eks", "CreateAddon", params)


def update_addon(context: Context) -> None:
    """All changes in one update; associations that were taken away are emptied."""
    params = {key: value for key, value in context.request("CreateAddon").items() if key not in ("tags", "namespaceConfig")}
    if context["resolveConflictsOnUpdate"]:
        params["resolveConflicts"] = context["resolveConflictsOnUpdate"]
    if context.olds.get("podIdentityAssociations") and "podIdentityAssociations" not in params:
        params["podIdentityAssociations"] = []
    context.ask("eks", "UpdateAddon", params)


def read_addon(context: Context) -> Values:
    """An add-on with its associations in full, where AWS lists only their ARNs."""
    name = {"clusterName": context["clusterName"]}
    addon: Values = context.ask("eks", "DescribeAddon", name | {"addonName": context["addonName"]})["addon"]
    found = []
    for arn in addon.get("podIdentityAssociations") or []:
        answer = context.ask("eks", "DescribePodIdentityAssociation", name | {"associationId": arn.rsplit("/", 1)[1]})
        found.append({key: answer["association"][key] for key in ("roleArn", "serviceAccount")})
    return addon | {"podIdentityAssociations": found}


def read_policy_association(context: Context) -> Values | None:
    """An association exists while the access entry lists the policy."""
    params = {"clusterName": context["clusterName"], "principalArn": context["principalArn"]}
    listed = context.ask("eks", "ListAssociatedAccessPolicies", params)["associatedAccessPolicies"]
    return next((item for item in listed if item["policyArn"] == context["policyArn"]), None)


def put_group_tag(context: Context) -> Values:
    """A tag of an Auto Scaling group."""
    tag, group = context["tag"], context["autoscalingGroupName"]
    if not context.ask("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": [group]})["AutoScalingGroups"]:
        raise ProviderError(f"there is no Auto Scaling group {group}")
    item = {"ResourceId": group, "ResourceType": "auto-scaling-group", "Key": tag["key"], "Value": str(tag["value"])}
    context.ask("autoscaling", "CreateOrUpdateTags", {"Tags": [item | {"PropagateAtLaunch": bool(tag["propagateAtLaunch"])}]})
    return {}


def _group_tag(context: Context) -> Values:
    tag = {"ResourceId": context["autoscalingGroupName"], "ResourceType": "auto-scaling-group", "Key": context["tag"]["key"]}
    return {"Tags": [tag]}


def read_group_tag(context: Context) -> Values | None:
    """The tag as the group has it."""
    groups = context.ask("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": [context["autoscalingGroupName"]]})
    tags = groups["AutoScalingGroups"][0]["Tags"] if groups["AutoScalingGroups"] else []
    return next((item for item in tags if item["Key"] == context["tag"]["key"]), None)


def eks(name: str, **more: Any) -> Input:
    """A create parameter that `update` functions compare for themselves."""
    return Input(param=name, read=more.pop("read", name), on_change="update", **more)


CLUSTER: dict[str, Kind] = {
    "aws:eks/cluster:Cluster": Kind(
        service="eks",
        create=Call("CreateCluster"),
        id="{name}",
        read=Call("DescribeCluster", {"name": "{id}"}),
        record="cluster",
        wait=("status", "ACTIVE", "FAILED"),
        update=update_cluster,
        delete=Call("DeleteCluster", {"name": "{id}"}),
        name="name",
        inputs={
            "name": fixed(),
            "roleArn": fixed(required=True),
            "version": eks("version"),
            "vpcConfig": eks("resourcesVpcConfig", required=True, computed=("clusterSecurityGroupId", "vpcId")),
            "accessConfig": eks("accessConfig", replaces=("accessConfig.bootstrapClusterCreatorAdminPermissions",)),
            "enabledClusterLogTypes": eks(
                "logging", read="logging.clusterLogging[?enabled].types[]", to_aws=logging, to_pulumi=lambda types: sorted(types or [])
            ),
            "encryptionConfig": fixed(read="encryptionConfig[0]"),
            "kubernetesNetworkConfig": fixed(),
            "upgradePolicy": eks("upgradePolicy"),
            "zonalShiftConfig": eks("zonalShiftConfig"),
            "deletionProtection": eks("deletionProtection"),
            "bootstrapSelfManagedAddons": fixed(read=None),
            "forceUpdateVersion": local(),
        },
        outputs={
            "arn": "arn",
            "endpoint": "endpoint",
            "certificateAuthority": "certificateAuthority",
            "identities": "[{oidcs: [{issuer: identity.oidc.issuer}]}]",
            "platformVersion": "platformVersion",
            "status": "status",
            "createdAt": "to_string(createdAt)",
        },
        tags=EKS_TAGS,
    ),
    "aws:eks/nodeGroup:NodeGroup": Kind(
        service="eks",
        create=Call("CreateNodegroup"),
        id="{clusterName}:{nodeGroupName}",
        read=Call("DescribeNodegroup", PARTS | {"nodegroupName": "{nodeGroupName}"}),
        record="nodegroup",
        wait=("status", "ACTIVE", "CREATE_FAILED|DEGRADED"),
        update=update_node_group,
        delete=Call("DeleteNodegroup", PARTS | {"nodegroupName": "{nodeGroupName}"}),
        name="nodeGroupName",
        inputs={
            "clusterName": fixed(required=True),
            "nodeGroupName": fixed("nodegroupName"),
            "nodeRoleArn": fixed("nodeRole", required=True),
            "subnetIds": fixed("subnets", required=True),
            "scalingConfig": eks("scalingConfig", required=True),
            "instanceTypes": fixed(),
            "amiType": fixed(),
            "capacityType": fixed(),
            "diskSize": fixed(),
            "labels": eks("labels", free=True),
            "taints": eks("taints"),
            "launchTemplate": eks("launchTemplate", replaces=("launchTemplate.id", "launchTemplate.name")),
            "updateConfig": eks("updateConfig"),
            "nodeRepairConfig": eks("nodeRepairConfig"),
            "version": eks("version"),
            "releaseVersion": eks("releaseVersion"),
            "forceUpdateVersion": local(),
        },
        outputs={
            "arn": "nodegroupArn",
            "status": "status",
            "resources": "[{autoscalingGroups: resources.autoScalingGroups[].{name: name}, remoteAccessSecurityGroupId: ''}]",
        },
        tags=EKS_TAGS,
    ),
    "aws:eks/addon:Addon": Kind(
        service="eks",
        create=create_addon,
        validate="CreateAddon",
        id="{clusterName}:{addonName}",
        read=read_addon,
        wait=("status", "ACTIVE", "CREATE_FAILED|DEGRADED"),
        update=update_addon,
        delete=Call("DeleteAddon", PARTS | {"addonName": "{addonName}", "preserve": "{preserve}"}),
        inputs={
            "clusterName": fixed(required=True),
            "addonName": fixed(required=True),
            "addonVersion": eks("addonVersion"),
            "configurationValues": eks("configurationValues"),
            "podIdentityAssociations": eks("podIdentityAssociations"),
            "serviceAccountRoleArn": eks("serviceAccountRoleArn"),
            "namespaceConfig": fixed(),
            "resolveConflictsOnCreate": local(),
            "resolveConflictsOnUpdate": local(),
            "preserve": local(),
        },
        outputs={"arn": "addonArn", "createdAt": "to_string(createdAt)", "modifiedAt": "to_string(modifiedAt)"},
        tags=EKS_TAGS,
    ),
    "aws:eks/accessEntry:AccessEntry": Kind(
        service="eks",
        create=Call("CreateAccessEntry"),
        id="{clusterName}:{principalArn}",
        read=Call("DescribeAccessEntry", PARTS | {"principalArn": "{principalArn}"}),
        record="accessEntry",
        update=Call("UpdateAccessEntry", PARTS | {"principalArn": "{principalArn}"}),
        delete=Call("DeleteAccessEntry", PARTS | {"principalArn": "{principalArn}"}),
        inputs={
            "clusterName": fixed(required=True),
            "principalArn": fixed(required=True),
            "kubernetesGroups": changeable(),
            "userName": changeable("username"),
            "type": fixed(),
        },
        outputs={"accessEntryArn": "accessEntryArn", "createdAt": "to_string(createdAt)", "modifiedAt": "to_string(modifiedAt)"},
        tags=simple_tags(
            "TagResource", "UntagResource", {"resourceArn": "{accessEntryArn}"}, keys="tagKeys", name="tags", read="tags", form="map"
        ),
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Kind(
        service="eks",
        create=Call("AssociateAccessPolicy"),
        id="{clusterName}#{principalArn}#{policyArn}",
        read=read_policy_association,
        delete=Call("DisassociateAccessPolicy", PARTS | {"principalArn": "{principalArn}", "policyArn": "{policyArn}"}),
        inputs={
            "clusterName": fixed(required=True, read=None),
            "principalArn": fixed(required=True, read=None),
            "policyArn": fixed(required=True),
            "accessScope": fixed(required=True),
        },
        outputs={"associatedAt": "to_string(associatedAt)", "modifiedAt": "to_string(modifiedAt)"},
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Kind(
        service="eks",
        create=Call("CreatePodIdentityAssociation"),
        id="{created.association.associationId}",
        read=Call("DescribePodIdentityAssociation", PARTS | {"associationId": "{id}"}),
        record="association",
        update=Call("UpdatePodIdentityAssociation", PARTS | {"associationId": "{id}"}),
        delete=Call("DeletePodIdentityAssociation", PARTS | {"associationId": "{id}"}),
        inputs={
            "clusterName": fixed(required=True),
            "namespace": fixed(required=True),
            "serviceAccount": fixed(required=True),
            "roleArn": changeable(required=True),
            "targetRoleArn": changeable(),
            "disableSessionTags": changeable(),
        },
        outputs={"associationArn": "associationArn", "associationId": "associationId"},
        tags=simple_tags(
            "TagResource", "UntagResource", {"resourceArn": "{associationArn}"}, keys="tagKeys", name="tags", read="tags", form="map"
        ),
    ),
    "aws:autoscaling/tag:Tag": Kind(
        service="autoscaling",
        create=put_group_tag,
        id="{autoscalingGroupName},{tag.key}",
        read=read_group_tag,
        update=put_group_tag,
        delete=lambda context: context.ask("autoscaling", "DeleteTags", _group_tag(context)),
        inputs={
            "autoscalingGroupName": Input(read="ResourceId", required=True),
            "tag": Input(
                read="{key: Key, value: Value, propagateAtLaunch: PropagateAtLaunch}",
                on_change="update",
                replaces=("tag.key",),
                required=True,
            ),
        },
    ),
}
