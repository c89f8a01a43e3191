"""EKS node groups: records with a launch template and an Auto Scaling group of their own, whose instances moto starts."""

from __future__ import annotations

import secrets

from embedded import aws_power
from embedded.aws_eks_access import create_access
from embedded.aws_eks_versions import check_idle, check_new_nodes, check_node_step
from embedded.aws_records import (
    Params,
    Record,
    backend,
    cluster_of,
    eks_arn,
    error,
    finished_update,
    known_subnets,
    now,
    part_of,
    shaped,
    started_update,
    trusted_role,
)
from embedded.cloud import Cloud

NODE_POLICIES = {
    "AmazonEKSWorkerNodePolicy": ("AmazonEKSWorkerNodePolicy", "AmazonEKSWorkerNodeMinimalPolicy"),
    "an ECR pull policy": ("AmazonEC2ContainerRegistryPullOnly", "AmazonEC2ContainerRegistryReadOnly"),
}
JOIN_SECONDS = 15
"""How long a node role may still lack its policies before the node group has failed; AWS waits about 20 minutes."""


def _template(cloud: Cloud, params: Params) -> tuple[Params, Params]:
    """The user's launch template: its identity and data, after the checks of EKS."""
    wanted = params.get("launchTemplate")
    if not wanted:
        return {}, {}
    if params.get("diskSize"):
        raise error("InvalidParameterException", "Disk size must be specified within the launch template.")
    if params.get("remoteAccess"):
        raise error("InvalidParameterException", "Remote access configuration cannot be specified with a launch template.")
    ec2 = backend(cloud, "ec2")
    found = [item for item in ec2.launch_templates.values() if wanted.get("id") == item.id or wanted.get("name") == item.name]
    if not found:
        raise error("InvalidParameterException", f"Launch template {wanted} does not exist")
    version = str(wanted.get("version") or found[0].default_version_number)
    versions = {str(item.number): item for item in found[0].versions}
    version = {"$Latest": str(found[0].latest_version_number), "$Default": str(found[0].default_version_number)}.get(version, version)
    if version not in versions:
        raise error("InvalidParameterException", f"Launch template {found[0].id} has no version {version}")
    data = versions[version].data
    for key in ("InstanceMarketOptions", "IamInstanceProfile", "HibernationOptions"):
        if data.get(key):
            raise error("InvalidParameterException", f"Launch template should not specify {key} for a managed node group")
    if data.get("InstanceType") and params.get("instanceTypes"):
        raise error("InvalidParameterException", "Instance type must be given in the node group or in the launch template, not in both")
    return {"id": found[0].id, "name": found[0].name, "version": version}, data


def create_nodegroup(cloud: Cloud, params: Params) -> Params:
    """Record a node group with its own launch template and Auto Scaling group, whose instances are started by moto."""
    cluster = cluster_of(params["clusterName"])
    name, scaling = params["nodegroupName"], {"minSize": 1, "maxSize": 2, "desiredSize": 2} | (params.get("scalingConfig") or {})
    if name in cluster["nodegroups"]:
        raise error("ResourceInUseException", f"NodeGroup already exists with name {name} and cluster name {params['clusterName']}")
    check_idle(cluster, f"Cluster {params['clusterName']}")
    version = params.get("version") or cluster["version"]
    check_new_nodes(cluster["version"], version)
    _check_scaling(scaling)
    trusted_role(cloud, params["nodeRole"], "ec2.amazonaws.com")
    known_subnets(cloud, params["subnets"])
    template, data = _template(cloud, params)
    types = params.get("instanceTypes") or ([data["InstanceType"]] if data.get("InstanceType") else ["t3.medium"])
    _check_types(cloud, types)
    suffix = f"{name}-{secrets.token_hex(4)}-{secrets.token_hex(2)}-{secrets.token_hex(2)}"
    own_group = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
    tags = {
        f"kubernetes.io/cluster/{params['clusterName']}": "owned",
        "eks:cluster-name": params["clusterName"],
        "eks:nodegroup-name": name,
    }
    discovery = {"k8s.io/cluster-autoscaler/enabled": "true", f"k8s.io/cluster-autoscaler/{params['clusterName']}": "owned"}
    groups = data.get("SecurityGroupIds") or data.get("SecurityGroups") or [own_group]
    own = backend(cloud, "ec2").create_launch_template(f"eks-{suffix}", "", _machine(data, types, groups), {"launch-template": tags})
    group_tags = [{"Key": key, "Value": value, "PropagateAtLaunch": key in tags} for key, value in (tags | discovery).items()]
    backend(cloud, "autoscaling").create_auto_scaling_group(
        name=f"eks-{suffix}",
        availability_zones=[],
        desired_capacity=scaling["desiredSize"],
        max_size=scaling["maxSize"],
        min_size=scaling["minSize"],
        launch_config_name="",
        launch_template={"LaunchTemplateId": own.id},
        vpc_zone_identifier=",".join(params["subnets"]),
        default_cooldown=None,
        health_check_period=None,
        health_check_type=None,
        load_balancers=[],
        target_group_arns=[],
        placement_group=None,
        termination_policies=[],
        tags=group_tags,
        capacity_rebalance=params.get("capacityType") == "SPOT",
    )
    cluster["nodegroups"][name] = shaped("Nodegroup", params) | {
        "nodegroupArn": eks_arn(cloud, f"nodegroup/{params['clusterName']}/{name}", secrets.token_hex(16)),
        "version": version,
        "releaseVersion": params.get("releaseVersion") or _release(version),
        "createdAt": now(),
        "modifiedAt": now(),
        "status": "ACTIVE",
        "capacityType": params.get("capacityType") or "ON_DEMAND",
        "scalingConfig": scaling,
        "instanceTypes": types,
        "amiType": params.get("amiType") or "AL2023_x86_64_STANDARD",
        "labels": params.get("labels") or {},
        "taints": params.get("taints") or [],
        "resources": {"autoScalingGroups": [{"name": f"eks-{suffix}"}]},
        "health": {"issues": []},
        "updateConfig": params.get("updateConfig") or {"maxUnavailable": 1},
        "tags": params.get("tags") or {},
    }
    record = cluster["nodegroups"][name]
    if template:
        record["launchTemplate"] = template
    else:
        record["diskSize"] = params.get("diskSize") or 20
    record["template"] = own.id
    record["joins"] = own_group in groups
    if cluster["accessConfig"]["authenticationMode"] != "CONFIG_MAP" and params["nodeRole"] not in cluster["access"]:
        create_access(cloud, {"clusterName": params["clusterName"], "principalArn": params["nodeRole"], "type": "EC2_LINUX"})
        cluster["access"][params["nodeRole"]]["by_nodes"] = True
    return describe_nodegroup(cloud, params)


def _machine(data: Params, types: list[str], groups: list[str]) -> Params:
    """EKS's own launch template: the user's, with image, type and security groups filled in."""
    return data | {"ImageId": "ami-0eks135", "InstanceType": types[0], "SecurityGroupIds": groups}


def _check_scaling(scaling: Params) -> None:
    low, wanted, high = scaling["minSize"], scaling["desiredSize"], scaling["maxSize"]
    if not 0 <= low <= wanted <= high or high < 1:
        raise error(
            "InvalidParameterException", f"Sizes must be 0 <= minSize {low} <= desiredSize {wanted} <= maxSize {high}, and maxSize >= 1"
        )


def _check_types(cloud: Cloud, types: list[str]) -> None:
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    unknown = [kind for kind in types if kind not in INSTANCE_TYPES]
    if unknown:
        raise error("InvalidParameterException", f"The following supplied instance types do not exist: [{', '.join(unknown)}]")


def describe_nodegroup(cloud: Cloud, params: Params) -> Params:
    """The node group; it fails as on AWS when its role or its security groups keep the nodes from joining."""
    record = part_of(params, "nodegroups", "nodegroupName", "node group")
    attached = str([policy for policy in trusted_role(cloud, record["nodeRole"], "ec2.amazonaws.com").managed_policies])
    missing = [what for what, names in NODE_POLICIES.items() if not any(name in attached for name in names)]
    problem = f"node role {record['nodeRole']} lacks {' and '.join(missing)}" if missing else ""
    if not record["joins"]:
        problem = "the launch template's security groups leave out the cluster's own security group"
    if problem and record["status"] in ("ACTIVE", "CREATING") and "joined" not in record:
        waited = (now() - record["createdAt"]).total_seconds()
        record["status"] = "CREATE_FAILED" if waited > JOIN_SECONDS else "CREATING"
        message = f"Instances failed to join the kubernetes cluster: {problem}"
        record["health"] = {"issues": [{"code": "NodeCreationFailure", "message": message, "resourceIds": []}]}
    elif record["status"] == "CREATING":
        record |= {"status": "ACTIVE", "health": {"issues": []}}
    if record["status"] == "ACTIVE":
        record["joined"] = True
    group = backend(cloud, "autoscaling").autoscaling_groups.get(record["resources"]["autoScalingGroups"][0]["name"])
    if group:  # an autoscaler changes the group, and EKS shows it
        record["scalingConfig"]["desiredSize"] = group.desired_capacity
    return {"nodegroup": shaped("Nodegroup", record)}


def delete_nodegroup(cloud: Cloud, params: Params) -> Params:
    """Forget a node group, its Auto Scaling group, instances and launch template."""
    record = part_of(params, "nodegroups", "nodegroupName", "node group")
    scaling = backend(cloud, "autoscaling")
    for group in record["resources"]["autoScalingGroups"]:
        if group["name"] in scaling.autoscaling_groups:
            scaling.set_desired_capacity(group["name"], 0)
            scaling.delete_auto_scaling_group(group["name"])
    backend(cloud, "ec2").delete_launch_template(None, record["template"])
    cluster = cluster_of(params["clusterName"])
    del cluster["nodegroups"][params["nodegroupName"]]
    role, entry = record["nodeRole"], cluster["access"].get(record["nodeRole"], {})
    if entry.get("by_nodes") and all(other["nodeRole"] != role for other in cluster["nodegroups"].values()):
        del cluster["access"][role]
    return {"nodegroup": shaped("Nodegroup", record) | {"status": "DELETING"}}


def update_nodegroup_config(cloud: Cloud, params: Params) -> Params:
    """Change sizes, labels, taints or update settings."""
    record = part_of(params, "nodegroups", "nodegroupName", "node group")
    check_idle(record, f"Nodegroup {params['nodegroupName']}")
    if scaling := params.get("scalingConfig"):
        merged = record["scalingConfig"] | scaling
        _check_scaling(merged)
        record["scalingConfig"] = merged
        group = backend(cloud, "autoscaling").autoscaling_groups[record["resources"]["autoScalingGroups"][0]["name"]]
        group.min_size, group.max_size = merged["minSize"], merged["maxSize"]
        group.set_desired_capacity(merged["desiredSize"])
        aws_power.fit_group(cloud, params["clusterName"], record)
    labels, taints = params.get("labels") or {}, params.get("taints") or {}
    record["labels"] = {key: value for key, value in record["labels"].items() if key not in labels.get("removeLabels", [])}
    record["labels"] |= labels.get("addOrUpdateLabels", {})
    gone = {(taint["key"], taint["effect"]) for taint in taints.get("removeTaints", []) + taints.get("addOrUpdateTaints", [])}
    record["taints"] = [taint for taint in record["taints"] if (taint["key"], taint["effect"]) not in gone]
    record["taints"] += taints.get("addOrUpdateTaints", [])
    record |= {key: params[key] for key in ("updateConfig", "nodeRepairConfig") if params.get(key)} | {"modifiedAt": now()}
    changed = {key: value for key, value in params.items() if key not in ("clusterName", "nodegroupName", "clientRequestToken")}
    return finished_update(params["clusterName"], "ConfigUpdate", changed)


def update_nodegroup_version(cloud: Cloud, params: Params) -> Params:
    """Another Kubernetes version, AMI release or launch template version; the group is UPDATING until then."""
    record, cluster = part_of(params, "nodegroups", "nodegroupName", "node group"), cluster_of(params["clusterName"])
    check_idle(record, f"Nodegroup {params['nodegroupName']}")
    version = params.get("version") or (record["version"] if params.get("launchTemplate") else cluster["version"])
    check_node_step(cluster["version"], record["version"], version)
    if template := params.get("launchTemplate"):
        before = record.get("launchTemplate")
        if not before or template.get("id", before["id"]) != before["id"] or template.get("name", before["name"]) != before["name"]:
            raise error(
                "InvalidParameterException", "A node group cannot change to another launch template, only to another version of its own"
            )
        record["launchTemplate"], data = _template(cloud, {"launchTemplate": template})
        own_group = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
        groups = data.get("SecurityGroupIds") or [own_group]
        record["joins"] = own_group in groups
        own = backend(cloud, "ec2").get_launch_template(record["template"])
        own.create_version(_machine(data, record["instanceTypes"], groups), "")
        own.default_version_number = own.latest_version_number
    record["modifiedAt"] = now()
    _replace_instances(cloud, record)
    outcome = {"version": version, "releaseVersion": params.get("releaseVersion") or _release(version)}
    return started_update(cluster, record, "VersionUpdate", outcome, outcome)


def _release(version: str) -> str:
    """The node image that is the newest of a Kubernetes version."""
    return f"{version}.0-20261101"


def _replace_instances(cloud: Cloud, record: Record) -> None:
    """A new version reaches the machines by replacing each."""
    scaling = backend(cloud, "autoscaling")
    group = scaling.autoscaling_groups[record["resources"]["autoScalingGroups"][0]["name"]]
    for id in [state.instance.id for state in group.instance_states]:
        scaling.terminate_instance(id, False)
