"""EKS of the embedded AWS: clusters, node groups, add-ons, access entries and Pod Identity as records in AWS's own shapes.

Machines are not started here but by whoever created the record (the `aws` provider). What AWS makes beside a record is made: the cluster's
security group and network interfaces, the log group of the control plane, the Auto Scaling group of a node group with its instances.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import yaml
from moto.core.exceptions import ServiceException
from moto.core.utils import get_service_model

from embedded.cloud import ACCOUNT_ID, SERVICE_CIDR, Cloud

Params = dict[str, Any]
Record = dict[str, Any]
CALLER_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/embedded"
ACCESS_POLICY = "arn:aws:eks::aws:cluster-access-policy/"
ACCESS_POLICIES = ("AmazonEKSClusterAdminPolicy", "AmazonEKSAdminPolicy", "AmazonEKSAdminViewPolicy", "AmazonEKSEditPolicy", "AmazonEKSViewPolicy")
VERSIONS = ("1.34", "1.35", "1.36")
"""Kubernetes versions in standard support (2026-11); nodes and control plane run 1.35 whichever is asked for."""
DEFAULT_VERSION = "1.35"
ADDONS = {  # name: (namespace, versions newest first, pods need IAM permissions)
    "vpc-cni": ("kube-system", ("v1.21.1-eksbuild.3", "v1.20.4-eksbuild.2"), True),
    "kube-proxy": ("kube-system", ("v1.35.0-eksbuild.2", "v1.34.1-eksbuild.2"), False),
    "coredns": ("kube-system", ("v1.13.1-eksbuild.1", "v1.12.4-eksbuild.1"), False),
    "eks-pod-identity-agent": ("kube-system", ("v1.3.10-eksbuild.2", "v1.3.10-eksbuild.1"), False),
    "aws-efs-csi-driver": ("kube-system", ("v2.3.0-eksbuild.1", "v2.1.15-eksbuild.1"), True),
    "aws-ebs-csi-driver": ("kube-system", ("v1.55.0-eksbuild.1", "v1.53.0-eksbuild.1"), True),
    "metrics-server": ("kube-system", ("v0.8.0-eksbuild.6", "v0.8.0-eksbuild.3"), False),
    "amazon-cloudwatch-observability": ("amazon-cloudwatch", ("v4.7.0-eksbuild.1",), True),
    "snapshot-controller": ("kube-system", ("v8.3.0-eksbuild.1",), False),
}
"""Stand-ins for what `DescribeAddonVersions` answers: real names, plausible versions. A real stack asks AWS or pins its own."""
NODE_POLICIES = {
    "AmazonEKSWorkerNodePolicy": ("AmazonEKSWorkerNodePolicy", "AmazonEKSWorkerNodeMinimalPolicy"),
    "an ECR pull policy": ("AmazonEC2ContainerRegistryPullOnly", "AmazonEC2ContainerRegistryReadOnly"),
}
JOIN_SECONDS = 15
"""How long a node role may still lack its policies before the node group has failed; AWS waits about 20 minutes."""

clusters: dict[str, Record] = {}
"""Cluster name to its record; parts that belong to a cluster hang below `PARTS` keys."""
PARTS = ("nodegroups", "addons", "access", "identities", "updates")


class AwsError(ServiceException):
    """An AWS error, of a class that moto looks up in the called service's model rather than in its own package's."""


def error(code: str, message: str) -> AwsError:
    """An AWS error."""
    return AwsError(code, message)


def backend(cloud: Cloud, service: str) -> Any:
    """Moto's records of a service."""
    from moto.backends import get_backend

    per_region: Any = get_backend(service)[ACCOUNT_ID]  # type: ignore[call-overload]
    return per_region["aws" if service == "iam" else cloud.region]


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _arn(cloud: Cloud, *path: str) -> str:
    return f"arn:aws:eks:{cloud.region}:{ACCOUNT_ID}:{'/'.join(path)}"


def _shaped(shape_name: str, *sources: Params) -> Record:
    """What of the parameters belongs to a record's shape."""
    members = get_service_model("eks").shape_for(shape_name).members  # type: ignore[attr-defined]
    return {key: value for source in sources for key, value in source.items() if key in members and value is not None}


def _cluster(name: str) -> Record:
    if name not in clusters:
        raise error("ResourceNotFoundException", f"No cluster found for name: {name}.")
    return clusters[name]


def _part(params: Params, kind: str, key: str, what: str) -> Record:
    parts: dict[str, Record] = _cluster(params["clusterName"])[kind]
    if params[key] not in parts:
        raise error("ResourceNotFoundException", f"No {what} found: {params[key]} in cluster {params['clusterName']}.")
    return parts[params[key]]


def _role(cloud: Cloud, arn: str, service: str) -> Any:
    role = next((role for role in backend(cloud, "iam").roles.values() if role.arn == arn), None)
    if role is None or service not in str(role.assume_role_policy_document):
        message = f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not {service}"
        raise error("InvalidParameterException", message)
    return role


def _subnets(cloud: Cloud, ids: list[str]) -> list[Any]:
    known = {subnet.id: subnet for subnet in backend(cloud, "ec2").describe_subnets()}
    missing = [subnet for subnet in ids if subnet not in known]
    if missing or not ids:
        raise error("InvalidParameterException", f"The subnet ID '{', '.join(missing)}' does not exist")
    return [known[subnet] for subnet in ids]


def _groups_exist(cloud: Cloud, ids: Iterable[str]) -> None:
    for group in ids:
        if backend(cloud, "ec2").get_security_group_from_id(group) is None:
            raise error("InvalidParameterException", f"The security group '{group}' does not exist")


def _update(name: str, kind: str, changed: Params) -> Params:
    """A finished update, as the real ones become after minutes."""
    update = {"id": secrets.token_hex(16), "status": "Successful", "type": kind, "createdAt": _now(), "errors": []}
    update["params"] = [{"type": key[0].upper() + key[1:], "value": json.dumps(value)} for key, value in changed.items()]
    _cluster(name)["updates"][update["id"]] = update
    return {"update": update}


def create_cluster(cloud: Cloud, params: Params) -> Params:
    """Record a cluster with its security group, network interfaces and log group."""
    name, vpc = params["name"], params["resourcesVpcConfig"]
    if name in clusters:
        raise error("ResourceInUseException", f"Cluster already exists with name: {name}")
    if not re.fullmatch(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}", name):
        raise error("InvalidParameterException", f"Cluster name '{name}' must have letters, digits, - and _ only, 100 at most")
    version = params.setdefault("version", DEFAULT_VERSION)
    if version not in VERSIONS:
        raise error("InvalidParameterException", f"unsupported Kubernetes version {version}; there are {', '.join(VERSIONS)}")
    _role(cloud, params["roleArn"], "eks.amazonaws.com")
    subnets = _subnets(cloud, vpc.get("subnetIds") or [])
    if len({subnet.availability_zone for subnet in subnets}) < 2:
        raise error("InvalidParameterException", "Subnets specified must be in at least two different AZs")
    _groups_exist(cloud, vpc.get("securityGroupIds") or [])
    if not (vpc.get("endpointPublicAccess", True) or vpc.get("endpointPrivateAccess")):
        raise error("InvalidParameterException", "Private and public endpoint access cannot be false")
    access = {"authenticationMode": "CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": True} | (params.get("accessConfig") or {})
    ec2 = backend(cloud, "ec2")
    group = ec2.create_security_group(
        name=f"eks-cluster-sg-{name}-{secrets.randbelow(10**10)}",
        description="EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as any managed workloads.",
        vpc_id=subnets[0].vpc_id,
        tags={f"kubernetes.io/cluster/{name}": "owned", "aws:eks:cluster-name": name},
    )
    ec2.authorize_security_group_ingress(group.id, "-1", None, None, [], [{"GroupId": group.id}])
    interfaces = [
        ec2.create_network_interface(
            subnet, None, group_ids=[group.id, *(vpc.get("securityGroupIds") or [])], description=f"Amazon EKS {name}"
        )
        for subnet in subnets[:2]
    ]
    logging = params.get("logging") or {"clusterLogging": []}
    cluster = _shaped("Cluster", params) | {
        "arn": _arn(cloud, f"cluster/{name}"),
        "createdAt": _now(),
        "endpoint": cloud.kubernetes_endpoint,
        "status": "ACTIVE",
        "platformVersion": "eks.1",
        "tags": params.get("tags") or {},
        "logging": logging,
        "resourcesVpcConfig": {
            "endpointPublicAccess": True,
            "endpointPrivateAccess": False,
            "publicAccessCidrs": ["0.0.0.0/0"],
            "securityGroupIds": [],
        }
        | vpc
        | {"clusterSecurityGroupId": group.id, "vpcId": subnets[0].vpc_id},
        "kubernetesNetworkConfig": {"serviceIpv4Cidr": SERVICE_CIDR, "ipFamily": "ipv4", "elasticLoadBalancing": {"enabled": False}}
        | (params.get("kubernetesNetworkConfig") or {}),
        "identity": {"oidc": {"issuer": f"https://oidc.eks.{cloud.region}.amazonaws.com/id/{secrets.token_hex(16).upper()}"}},
        "accessConfig": {"authenticationMode": access["authenticationMode"]},
        "health": {"issues": []},
        "upgradePolicy": params.get("upgradePolicy") or {"supportType": "EXTENDED"},
        "deletionProtection": bool(params.get("deletionProtection")),
    }
    clusters[name] = cluster | {part: {} for part in PARTS} | {"interfaces": [interface.id for interface in interfaces]}
    if access["bootstrapClusterCreatorAdminPermissions"]:
        entry = {"clusterName": name, "principalArn": CALLER_ARN}
        _create_access(cloud, entry)
        associate = {"policyArn": f"{ACCESS_POLICY}AmazonEKSClusterAdminPolicy", "accessScope": {"type": "cluster"}}
        associate_access_policy(cloud, entry | associate)
    _make_log_group(cloud, name, logging)
    return describe_cluster(cloud, {"name": name})


def _make_log_group(cloud: Cloud, name: str, logging: Params) -> None:
    """The control plane makes its log group when the stack did not; like on AWS it outlives the cluster then."""
    logs, group = backend(cloud, "logs"), f"/aws/eks/{name}/cluster"
    if any(setup.get("enabled") for setup in logging.get("clusterLogging", [])) and group not in logs.groups:
        logs.create_log_group(group, {})


def describe_cluster(cloud: Cloud, params: Params) -> Params:
    """The cluster as recorded; its certificate authority is the real one once the control plane runs."""
    record = _shaped("Cluster", _cluster(params["name"]))
    try:
        from embedded.control_plane import ca_pem

        certificate = ca_pem(cloud)
    except (ImportError, OSError):
        certificate = "the control plane has not started"
    return {"cluster": record | {"certificateAuthority": {"data": base64.b64encode(certificate.encode()).decode()}}}


def delete_cluster(cloud: Cloud, params: Params) -> Params:
    """Forget a cluster that nothing hangs on, with what AWS made beside it."""
    cluster = _cluster(params["name"])
    if cluster["nodegroups"]:
        raise error("ResourceInUseException", f"Cluster has nodegroups attached: {', '.join(cluster['nodegroups'])}")
    if cluster["deletionProtection"]:
        raise error("InvalidRequestException", f"Cluster {params['name']} has deletion protection; turn it off first")
    answer = describe_cluster(cloud, params)
    ec2 = backend(cloud, "ec2")
    for interface in cluster["interfaces"]:
        ec2.delete_network_interface(interface)
    ec2.delete_security_group(group_id=cluster["resourcesVpcConfig"]["clusterSecurityGroupId"])
    del clusters[params["name"]]
    return answer


UPDATE_KINDS = {
    "resourcesVpcConfig": "EndpointAccessUpdate",
    "logging": "LoggingUpdate",
    "accessConfig": "AccessConfigUpdate",
    "upgradePolicy": "UpgradePolicyUpdate",
    "deletionProtection": "DeletionProtectionUpdate",
    "zonalShiftConfig": "ZonalShiftConfigUpdate",
}
MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")


def update_cluster_config(cloud: Cloud, params: Params) -> Params:
    """Change one aspect of a cluster, as AWS allows one an update."""
    cluster, changed = _cluster(params["name"]), {key: value for key, value in params.items() if key in UPDATE_KINDS}
    if len(changed) != 1:
        raise error("InvalidParameterException", "Only one type of update can be allowed: " + ", ".join(changed or ["none given"]))
    ((key, value),) = changed.items()
    if key == "accessConfig":
        wanted = value["authenticationMode"]
        if MODES.index(wanted) <= MODES.index(cluster["accessConfig"]["authenticationMode"]):
            raise error("InvalidRequestException", f"Unsupported authentication mode update to {wanted}")
    if key == "logging":
        _make_log_group(cloud, params["name"], value)
    cluster[key] = cluster[key] | value if isinstance(value, dict) else value
    return _update(params["name"], UPDATE_KINDS[key], changed)


def update_cluster_version(cloud: Cloud, params: Params) -> Params:
    """One minor version up, as AWS allows."""
    cluster = _cluster(params["name"])
    if params["version"] not in VERSIONS or int(params["version"].split(".")[1]) != int(cluster["version"].split(".")[1]) + 1:
        raise error("InvalidParameterException", f"Unsupported Kubernetes minor version update from {cluster['version']} to {params['version']}")
    cluster["version"] = params["version"]
    return _update(params["name"], "VersionUpdate", {"version": params["version"]})


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
    cluster = _cluster(params["clusterName"])
    name, scaling = params["nodegroupName"], {"minSize": 1, "maxSize": 2, "desiredSize": 2} | (params.get("scalingConfig") or {})
    if name in cluster["nodegroups"]:
        raise error("ResourceInUseException", f"NodeGroup already exists with name {name} and cluster name {params['clusterName']}")
    _check_scaling(scaling)
    _role(cloud, params["nodeRole"], "ec2.amazonaws.com")
    _subnets(cloud, params["subnets"])
    template, data = _template(cloud, params)
    types = params.get("instanceTypes") or ([data["InstanceType"]] if data.get("InstanceType") else ["t3.medium"])
    _check_types(cloud, types)
    suffix = f"{name}-{secrets.token_hex(4)}-{secrets.token_hex(2)}-{secrets.token_hex(2)}"
    own_group = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
    tags = {f"kubernetes.io/cluster/{params['clusterName']}": "owned", "eks:cluster-name": params["clusterName"], "eks:nodegroup-name": name}
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
    version = params.get("version") or cluster["version"]
    cluster["nodegroups"][name] = _shaped("Nodegroup", params) | {
        "nodegroupArn": _arn(cloud, f"nodegroup/{params['clusterName']}/{name}", secrets.token_hex(16)),
        "version": version,
        "releaseVersion": params.get("releaseVersion") or f"{version}.0-20261101",
        "createdAt": _now(),
        "modifiedAt": _now(),
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
        _create_access(cloud, {"clusterName": params["clusterName"], "principalArn": params["nodeRole"], "type": "EC2_LINUX"})
        cluster["access"][params["nodeRole"]]["by_nodes"] = True
    return describe_nodegroup(cloud, params)


def _machine(data: Params, types: list[str], groups: list[str]) -> Params:
    """EKS's own launch template: the user's, with image, type and security groups filled in."""
    return data | {"ImageId": "ami-0eks135", "InstanceType": types[0], "SecurityGroupIds": groups}


def _check_scaling(scaling: Params) -> None:
    low, wanted, high = scaling["minSize"], scaling["desiredSize"], scaling["maxSize"]
    if not 0 <= low <= wanted <= high or high < 1:
        raise error("InvalidParameterException", f"Sizes must be 0 <= minSize {low} <= desiredSize {wanted} <= maxSize {high}, and maxSize >= 1")


def _check_types(cloud: Cloud, types: list[str]) -> None:
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    unknown = [kind for kind in types if kind not in INSTANCE_TYPES]
    if unknown:
        raise error("InvalidParameterException", f"The following supplied instance types do not exist: [{', '.join(unknown)}]")


def describe_nodegroup(cloud: Cloud, params: Params) -> Params:
    """The node group; it fails as on AWS when its role or its security groups keep the nodes from joining."""
    record = _part(params, "nodegroups", "nodegroupName", "node group")
    attached = str([policy for policy in _role(cloud, record["nodeRole"], "ec2.amazonaws.com").managed_policies])
    missing = [what for what, names in NODE_POLICIES.items() if not any(name in attached for name in names)]
    problem = f"node role {record['nodeRole']} lacks {' and '.join(missing)}" if missing else ""
    if not record["joins"]:
        problem = "the launch template's security groups leave out the cluster's own security group"
    if problem and record["status"] in ("ACTIVE", "CREATING") and "joined" not in record:
        waited = (_now() - record["createdAt"]).total_seconds()
        record["status"] = "CREATE_FAILED" if waited > JOIN_SECONDS else "CREATING"
        message = f"Instances failed to join the kubernetes cluster: {problem}"
        record["health"] = {"issues": [{"code": "NodeCreationFailure", "message": message, "resourceIds": []}]}
    elif record["status"] == "CREATING":
        record |= {"status": "ACTIVE", "health": {"issues": []}}
    if record["status"] == "ACTIVE":
        record["joined"] = True
    return {"nodegroup": _shaped("Nodegroup", record)}


def delete_nodegroup(cloud: Cloud, params: Params) -> Params:
    """Forget a node group, its Auto Scaling group, instances and launch template."""
    record = _part(params, "nodegroups", "nodegroupName", "node group")
    scaling = backend(cloud, "autoscaling")
    for group in record["resources"]["autoScalingGroups"]:
        if group["name"] in scaling.autoscaling_groups:
            scaling.set_desired_capacity(group["name"], 0)
            scaling.delete_auto_scaling_group(group["name"])
    backend(cloud, "ec2").delete_launch_template(None, record["template"])
    cluster = _cluster(params["clusterName"])
    del cluster["nodegroups"][params["nodegroupName"]]
    role, entry = record["nodeRole"], cluster["access"].get(record["nodeRole"], {})
    if entry.get("by_nodes") and all(other["nodeRole"] != role for other in cluster["nodegroups"].values()):
        del cluster["access"][role]
    return {"nodegroup": _shaped("Nodegroup", record) | {"status": "DELETING"}}


def update_nodegroup_config(cloud: Cloud, params: Params) -> Params:
    """Change sizes, labels, taints or update settings."""
    record = _part(params, "nodegroups", "nodegroupName", "node group")
    if scaling := params.get("scalingConfig"):
        merged = record["scalingConfig"] | scaling
        _check_scaling(merged)
        record["scalingConfig"] = merged
        group = backend(cloud, "autoscaling").autoscaling_groups[record["resources"]["autoScalingGroups"][0]["name"]]
        group.min_size, group.max_size = merged["minSize"], merged["maxSize"]
        group.set_desired_capacity(merged["desiredSize"])
    labels, taints = params.get("labels") or {}, params.get("taints") or {}
    record["labels"] = {key: value for key, value in record["labels"].items() if key not in labels.get("removeLabels", [])}
    record["labels"] |= labels.get("addOrUpdateLabels", {})
    gone = {(taint["key"], taint["effect"]) for taint in taints.get("removeTaints", []) + taints.get("addOrUpdateTaints", [])}
    record["taints"] = [taint for taint in record["taints"] if (taint["key"], taint["effect"]) not in gone]
    record["taints"] += taints.get("addOrUpdateTaints", [])
    record |= {key: params[key] for key in ("updateConfig", "nodeRepairConfig") if params.get(key)} | {"modifiedAt": _now()}
    changed = {key: value for key, value in params.items() if key not in ("clusterName", "nodegroupName", "clientRequestToken")}
    return _update(params["clusterName"], "ConfigUpdate", changed)


def update_nodegroup_version(cloud: Cloud, params: Params) -> Params:
    """Another Kubernetes version, AMI release or launch template version."""
    record = _part(params, "nodegroups", "nodegroupName", "node group")
    if template := params.get("launchTemplate"):
        before = record.get("launchTemplate")
        if not before or template.get("id", before["id"]) != before["id"] or template.get("name", before["name"]) != before["name"]:
            raise error("InvalidParameterException", "A node group cannot change to another launch template, only to another version of its own")
        record["launchTemplate"], data = _template(cloud, {"launchTemplate": template})
        own_group = _cluster(params["clusterName"])["resourcesVpcConfig"]["clusterSecurityGroupId"]
        groups = data.get("SecurityGroupIds") or [own_group]
        record["joins"] = own_group in groups
        own = backend(cloud, "ec2").get_launch_template(record["template"])
        own.create_version(_machine(data, record["instanceTypes"], groups), "")
        own.default_version_number = own.latest_version_number
    if version := params.get("version") or (None if params.get("launchTemplate") else _cluster(params["clusterName"])["version"]):
        record |= {"version": version, "releaseVersion": params.get("releaseVersion") or f"{version}.0-20261101"}
    record["modifiedAt"] = _now()
    _replace_instances(cloud, record)
    return _update(params["clusterName"], "VersionUpdate", {"version": record["version"]})


def _replace_instances(cloud: Cloud, record: Record) -> None:
    """A new version reaches the machines by replacing each."""
    scaling = backend(cloud, "autoscaling")
    group = scaling.autoscaling_groups[record["resources"]["autoScalingGroups"][0]["name"]]
    for id in [state.instance.id for state in group.instance_states]:
        scaling.terminate_instance(id, False)


def describe_addon_versions(cloud: Cloud, params: Params) -> Params:
    """Versions of the add-ons, newest first; the newest is the default of the newest Kubernetes."""
    wanted = params.get("kubernetesVersion")
    addons = []
    for name, (namespace, versions, needs_iam) in ADDONS.items():
        if params.get("addonName") not in (None, name):
            continue
        infos = []
        for index, version in enumerate(versions):
            matches = [
                {"clusterVersion": cluster, "platformVersions": ["*"], "defaultVersion": index == 0} for cluster in VERSIONS if wanted in (None, cluster)
            ]
            infos.append({"addonVersion": version, "architecture": ["amd64", "arm64"], "compatibilities": matches, "requiresIamPermissions": needs_iam})
        addons.append({"addonName": name, "owner": "aws", "publisher": "eks", "addonVersions": infos, "defaultNamespace": namespace})
    return {"addons": addons if wanted in (None, *VERSIONS) else []}


def _check_addon(params: Params) -> None:
    versions = ADDONS[params["addonName"]][1]
    if params.get("addonVersion") not in (None, *versions):
        raise error("InvalidParameterException", f"Addon version specified is not supported: {params['addonName']} {params['addonVersion']}")
    if values := params.get("configurationValues"):
        try:
            parsed = yaml.safe_load(values)
        except yaml.YAMLError as problem:
            raise error("InvalidParameterException", f"ConfigurationValue is not in valid JSON or YAML: {problem}") from problem
        if not isinstance(parsed, dict):
            raise error("InvalidParameterException", "ConfigurationValue is not an object")


def _link_addon(cloud: Cloud, params: Params, record: Record) -> None:
    """Pod Identity associations that an add-on owns."""
    wanted = params.get("podIdentityAssociations")
    if wanted is None:
        return
    identities = _cluster(params["clusterName"])["identities"]
    for id in [id for id, item in identities.items() if item.get("ownerArn") == record["addonArn"]]:
        del identities[id]
    arns = []
    for item in wanted:
        association = create_pod_identity(
            cloud, item | {"clusterName": params["clusterName"], "namespace": ADDONS[params["addonName"]][0]}, owner=record["addonArn"]
        )["association"]
        arns.append(association["associationArn"])
    record["podIdentityAssociations"] = arns


def create_addon(cloud: Cloud, params: Params) -> Params:
    """Record an add-on. Its software is installed by the embedded cluster itself, not from an image."""
    cluster, name = _cluster(params["clusterName"]), params["addonName"]
    if name not in ADDONS:
        raise error("InvalidParameterException", f"Addon {name} specified is not supported; there are {', '.join(ADDONS)}")
    if name in cluster["addons"]:
        raise error("ResourceInUseException", f"Addon already exists: {name}")
    _check_addon(params)
    record = _shaped("Addon", params) | {
        "status": "ACTIVE",
        "addonVersion": params.get("addonVersion") or ADDONS[name][1][0],
        "health": {"issues": []},
        "addonArn": _arn(cloud, f"addon/{params['clusterName']}/{name}", secrets.token_hex(16)),
        "createdAt": _now(),
        "modifiedAt": _now(),
        "tags": params.get("tags") or {},
        "podIdentityAssociations": [],
        "namespaceConfig": params.get("namespaceConfig") or {"namespace": ADDONS[name][0]},
    }
    _link_addon(cloud, params, record)
    cluster["addons"][name] = record
    return {"addon": record}


def update_addon(cloud: Cloud, params: Params) -> Params:
    """Another version, configuration or role."""
    record = _part(params, "addons", "addonName", "addon")
    _check_addon(params)
    changed = {key: params[key] for key in ("addonVersion", "serviceAccountRoleArn", "configurationValues") if params.get(key) is not None}
    record |= changed | {"modifiedAt": _now()}
    _link_addon(cloud, params, record)
    return _update(params["clusterName"], "AddonUpdate", changed)


def delete_addon(cloud: Cloud, params: Params) -> Params:
    """Forget an add-on and the associations it owns."""
    record = _part(params, "addons", "addonName", "addon")
    _link_addon(cloud, params | {"podIdentityAssociations": []}, record)
    del _cluster(params["clusterName"])["addons"][params["addonName"]]
    return {"addon": record | {"status": "DELETING"}}


def create_pod_identity(cloud: Cloud, params: Params, owner: str | None = None) -> Params:
    """Give a service account a role."""
    cluster = _cluster(params["clusterName"])
    _role(cloud, params["roleArn"], "pods.eks.amazonaws.com")
    key = (params["namespace"], params["serviceAccount"])
    if any((item["namespace"], item["serviceAccount"]) == key for item in cluster["identities"].values()):
        raise error("ResourceInUseException", f"Association already exists: service account {'/'.join(key)} has a role already")
    id = f"a-{secrets.token_hex(9)[:17]}"
    record = _shaped("PodIdentityAssociation", params) | {
        "associationArn": _arn(cloud, f"podidentityassociation/{params['clusterName']}/{id}"),
        "associationId": id,
        "createdAt": _now(),
        "modifiedAt": _now(),
        "tags": params.get("tags") or {},
        "disableSessionTags": bool(params.get("disableSessionTags")),
    }
    cluster["identities"][id] = record | ({"ownerArn": owner} if owner else {})
    return {"association": cluster["identities"][id]}


def update_pod_identity(cloud: Cloud, params: Params) -> Params:
    """Another role for the same service account."""
    record = _part(params, "identities", "associationId", "association")
    if params.get("roleArn"):
        _role(cloud, params["roleArn"], "pods.eks.amazonaws.com")
    keys = ("roleArn", "targetRoleArn", "disableSessionTags", "policy")
    record |= {key: params[key] for key in keys if params.get(key) is not None} | {"modifiedAt": _now()}
    return {"association": record}


def delete_pod_identity(cloud: Cloud, params: Params) -> Params:
    """Take the role away; one that an add-on owns is changed through the add-on."""
    record = _part(params, "identities", "associationId", "association")
    if record.get("ownerArn"):
        raise error("InvalidRequestException", f"Association {params['associationId']} is owned by {record['ownerArn']}")
    del _cluster(params["clusterName"])["identities"][params["associationId"]]
    return {"association": record}


def list_pod_identities(cloud: Cloud, params: Params) -> Params:
    """Associations of a cluster, optionally of one namespace or service account."""
    items = _cluster(params["clusterName"])["identities"].values()
    keys = [key for key in ("namespace", "serviceAccount") if params.get(key)]
    return {"associations": [item for item in items if all(item[key] == params[key] for key in keys)]}


def create_access_entry(cloud: Cloud, params: Params) -> Params:
    """Let a principal into the cluster."""
    if _cluster(params["clusterName"])["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        raise error("InvalidRequestException", "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP]")
    return _create_access(cloud, params)


def _create_access(cloud: Cloud, params: Params) -> Params:
    cluster, arn = _cluster(params["clusterName"]), params["principalArn"]
    if not re.match(rf"arn:aws:iam::{ACCOUNT_ID}:(role|user)/", arn):
        raise error("InvalidParameterException", f"The principalArn parameter format is not valid: {arn}")
    if arn in cluster["access"]:
        raise error("ResourceInUseException", f"The specified access entry resource is already in use on this cluster: {arn}")
    kind, groups = params.get("type") or "STANDARD", params.get("kubernetesGroups") or []
    if any(group.startswith("system:") for group in groups):
        raise error("InvalidParameterException", "The kubernetes group name must not start with system:")
    if kind != "STANDARD" and groups:
        raise error("InvalidParameterException", f"Kubernetes groups cannot be given to an access entry of type {kind}")
    record = {
        "clusterName": params["clusterName"],
        "principalArn": arn,
        "kubernetesGroups": groups,
        "accessEntryArn": _arn(cloud, f"access-entry/{params['clusterName']}", *arn.split(":")[-1].split("/"), secrets.token_hex(16)),
        "createdAt": _now(),
        "modifiedAt": _now(),
        "tags": params.get("tags") or {},
        "username": params.get("username") or ("system:node:{{EC2PrivateDNSName}}" if kind != "STANDARD" else arn),
        "type": kind,
    }
    cluster["access"][arn] = record | {"policies": {}}
    return {"accessEntry": record}


def update_access_entry(cloud: Cloud, params: Params) -> Params:
    """Other groups or another user name."""
    record = _part(params, "access", "principalArn", "access entry")
    record |= {key: params[key] for key in ("kubernetesGroups", "username") if params.get(key) is not None} | {"modifiedAt": _now()}
    return {"accessEntry": _shaped("AccessEntry", record)}


def associate_access_policy(cloud: Cloud, params: Params) -> Params:
    """Give an access entry one of AWS's access policies, for the cluster or for namespaces."""
    record = _part(params, "access", "principalArn", "access entry")
    if params["policyArn"].removeprefix(ACCESS_POLICY) not in ACCESS_POLICIES:
        raise error("InvalidParameterException", f"The policyArn parameter is not an access policy: {params['policyArn']}")
    if params["accessScope"].get("type") == "namespace" and not params["accessScope"].get("namespaces"):
        raise error("InvalidParameterException", "An access scope of type namespace needs namespaces")
    scope = {"namespaces": []} | params["accessScope"]
    policy = {"policyArn": params["policyArn"], "accessScope": scope, "associatedAt": _now(), "modifiedAt": _now()}
    record["policies"][params["policyArn"]] = policy
    return {"clusterName": params["clusterName"], "principalArn": params["principalArn"], "associatedAccessPolicy": policy}


def disassociate_access_policy(cloud: Cloud, params: Params) -> Params:
    """Take an access policy away."""
    record = _part(params, "access", "principalArn", "access entry")
    if record["policies"].pop(params["policyArn"], None) is None:
        raise error("ResourceNotFoundException", f"{params['policyArn']} is not associated with {params['principalArn']}")
    return {}


def list_associated_policies(cloud: Cloud, params: Params) -> Params:
    """Access policies of an entry."""
    record = _part(params, "access", "principalArn", "access entry")
    return {"clusterName": params["clusterName"], "principalArn": params["principalArn"], "associatedAccessPolicies": list(record["policies"].values())}


def _tags(arn: str) -> dict[str, str]:
    for cluster in clusters.values():
        for record in [cluster, *(item for part in PARTS[:4] for item in cluster[part].values())]:
            if arn in (record.get(key) for key in ("arn", "nodegroupArn", "addonArn", "accessEntryArn", "associationArn")):
                tags: dict[str, str] = record["tags"]
                return tags
    raise error("NotFoundException", f"No resource {arn}")


def tag_resource(cloud: Cloud, params: Params) -> Params:
    """Add tags to anything of EKS."""
    _tags(params["resourceArn"]).update(params["tags"])
    return {}


def untag_resource(cloud: Cloud, params: Params) -> Params:
    """Remove tags."""
    for key in params["tagKeys"]:
        _tags(params["resourceArn"]).pop(key, None)
    return {}


def _describe(kind: str, key: str, what: str, answer: str, shape: str) -> Callable[[Cloud, Params], Params]:
    return lambda cloud, params: {answer: _shaped(shape, _part(params, kind, key, what))}


def _list(kind: str, answer: str) -> Callable[[Cloud, Params], Params]:
    return lambda cloud, params: {answer: sorted(_cluster(params.get("clusterName") or params["name"])[kind])}


def _delete_access(cloud: Cloud, params: Params) -> Params:
    _part(params, "access", "principalArn", "access entry")
    del _cluster(params["clusterName"])["access"][params["principalArn"]]
    return {}


def _describe_update(cloud: Cloud, params: Params) -> Params:
    updates = _cluster(params["name"])["updates"]
    if params["updateId"] not in updates:
        raise error("ResourceNotFoundException", f"No update found for ID: {params['updateId']}")
    return {"update": updates[params["updateId"]]}


_BY_NAME: dict[str, Callable[[Cloud, Params], Params]] = {
    "CreateCluster": create_cluster,
    "DescribeCluster": describe_cluster,
    "ListClusters": lambda cloud, params: {"clusters": sorted(clusters)},
    "DeleteCluster": delete_cluster,
    "UpdateClusterConfig": update_cluster_config,
    "UpdateClusterVersion": update_cluster_version,
    "DescribeUpdate": _describe_update,
    "ListUpdates": _list("updates", "updateIds"),
    "CreateNodegroup": create_nodegroup,
    "DescribeNodegroup": describe_nodegroup,
    "ListNodegroups": _list("nodegroups", "nodegroups"),
    "DeleteNodegroup": delete_nodegroup,
    "UpdateNodegroupConfig": update_nodegroup_config,
    "UpdateNodegroupVersion": update_nodegroup_version,
    "DescribeAddonVersions": describe_addon_versions,
    "CreateAddon": create_addon,
    "DescribeAddon": _describe("addons", "addonName", "addon", "addon", "Addon"),
    "ListAddons": _list("addons", "addons"),
    "UpdateAddon": update_addon,
    "DeleteAddon": delete_addon,
    "CreatePodIdentityAssociation": create_pod_identity,
    "DescribePodIdentityAssociation": _describe("identities", "associationId", "association", "association", "PodIdentityAssociation"),
    "ListPodIdentityAssociations": list_pod_identities,
    "UpdatePodIdentityAssociation": update_pod_identity,
    "DeletePodIdentityAssociation": delete_pod_identity,
    "CreateAccessEntry": create_access_entry,
    "DescribeAccessEntry": _describe("access", "principalArn", "access entry", "accessEntry", "AccessEntry"),
    "ListAccessEntries": _list("access", "accessEntries"),
    "UpdateAccessEntry": update_access_entry,
    "DeleteAccessEntry": _delete_access,
    "AssociateAccessPolicy": associate_access_policy,
    "DisassociateAccessPolicy": disassociate_access_policy,
    "ListAssociatedAccessPolicies": list_associated_policies,
    "ListAccessPolicies": lambda cloud, params: {"accessPolicies": [{"name": name, "arn": ACCESS_POLICY + name} for name in ACCESS_POLICIES]},
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": lambda cloud, params: {"tags": _tags(params["resourceArn"])},
}
OPERATIONS = {f"eks:{name}": handler for name, handler in _BY_NAME.items()}
