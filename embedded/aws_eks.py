"""EKS of the embedded AWS: clusters and the table of all EKS operations, as records in AWS's own shapes.

Machines are not started here but by whoever created the record (the `aws` provider). What AWS makes beside a record is made: the cluster's
security group and network interfaces, the log group of the control plane.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable

from embedded.aws_eks_access import (
    ACCESS_POLICIES,
    associate_access_policy,
    create_access,
    create_access_entry,
    create_pod_identity,
    delete_access_entry,
    delete_pod_identity,
    disassociate_access_policy,
    list_associated_policies,
    list_pod_identities,
    update_access_entry,
    update_pod_identity,
)
from embedded.aws_eks_addons import create_addon, delete_addon, describe_addon_versions, update_addon
from embedded.aws_eks_nodes import create_nodegroup, delete_nodegroup, describe_nodegroup, update_nodegroup_config, update_nodegroup_version
from embedded.aws_eks_versions import check_idle, update_cluster_version
from embedded.aws_records import (
    ACCESS_POLICY,
    CALLER_ARN,
    DEFAULT_VERSION,
    PARTS,
    VERSIONS,
    Params,
    backend,
    check_groups,
    cluster_of,
    clusters,
    eks_arn,
    error,
    finished_update,
    known_subnets,
    now,
    part_of,
    shaped,
    trusted_role,
)
from embedded.cloud import SERVICE_CIDR, Cloud

GROUP_DESCRIPTION = "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes and managed workloads."


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
    trusted_role(cloud, params["roleArn"], "eks.amazonaws.com")
    subnets = known_subnets(cloud, vpc.get("subnetIds") or [])
    if len({subnet.availability_zone for subnet in subnets}) < 2:
        raise error("InvalidParameterException", "Subnets specified must be in at least two different AZs")
    check_groups(cloud, vpc.get("securityGroupIds") or [])
    if not (vpc.get("endpointPublicAccess", True) or vpc.get("endpointPrivateAccess")):
        raise error("InvalidParameterException", "Private and public endpoint access cannot be false")
    access = {"authenticationMode": "CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": True} | (params.get("accessConfig") or {})
    ec2 = backend(cloud, "ec2")
    group = ec2.create_security_group(
        name=f"eks-cluster-sg-{name}-{secrets.randbelow(10**10)}",
        description=GROUP_DESCRIPTION,
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
    cluster = shaped("Cluster", params) | {
        "arn": eks_arn(cloud, f"cluster/{name}"),
        "createdAt": now(),
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
    more = {"interfaces": [interface.id for interface in interfaces], "running": []}
    clusters[name] = cluster | {part: {} for part in PARTS} | more
    if access["bootstrapClusterCreatorAdminPermissions"]:
        entry = {"clusterName": name, "principalArn": CALLER_ARN}
        create_access(cloud, entry)
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
    record = shaped("Cluster", cluster_of(params["name"]))
    try:
        from embedded.control_plane import ca_pem

        certificate = ca_pem(cloud)
    except (ImportError, OSError):
        certificate = "the control plane has not started"
    return {"cluster": record | {"certificateAuthority": {"data": base64.b64encode(certificate.encode()).decode()}}}


def delete_cluster(cloud: Cloud, params: Params) -> Params:
    """Forget a cluster that nothing hangs on, with what AWS made beside it."""
    cluster = cluster_of(params["name"])
    check_idle(cluster, f"Cluster {params['name']}")
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
    cluster, changed = cluster_of(params["name"]), {key: value for key, value in params.items() if key in UPDATE_KINDS}
    check_idle(cluster, f"Cluster {params['name']}")
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
    return finished_update(params["name"], UPDATE_KINDS[key], changed)


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
    return lambda cloud, params: {answer: shaped(shape, part_of(params, kind, key, what))}


def _list(kind: str, answer: str) -> Callable[[Cloud, Params], Params]:
    return lambda cloud, params: {answer: sorted(cluster_of(params.get("clusterName") or params["name"])[kind])}


def _describe_update(cloud: Cloud, params: Params) -> Params:
    updates = cluster_of(params["name"])["updates"]
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
    "DescribeClusterVersions": lambda cloud, params: {
        "clusterVersions": [
            {"clusterVersion": version, "versionStatus": "STANDARD_SUPPORT", "defaultVersion": version == DEFAULT_VERSION}
            for version in VERSIONS
        ]
    },
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
    "DeleteAccessEntry": delete_access_entry,
    "AssociateAccessPolicy": associate_access_policy,
    "DisassociateAccessPolicy": disassociate_access_policy,
    "ListAssociatedAccessPolicies": list_associated_policies,
    "ListAccessPolicies": lambda cloud, params: {
        "accessPolicies": [{"name": name, "arn": ACCESS_POLICY + name} for name in ACCESS_POLICIES]
    },
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": lambda cloud, params: {"tags": _tags(params["resourceArn"])},
}
OPERATIONS = {f"eks:{name}": handler for name, handler in _BY_NAME.items()}
