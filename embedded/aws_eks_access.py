"""EKS add-ons, Pod Identity and access entries: records, checked as EKS checks them."""

from __future__ import annotations

import re
import secrets

import yaml

from embedded.aws_records import (
    ACCESS_POLICY,
    VERSIONS,
    Params,
    Record,
    cluster_of,
    eks_arn,
    error,
    finished_update,
    now,
    part_of,
    shaped,
    trusted_role,
)
from embedded.cloud import ACCOUNT_ID, Cloud

ACCESS_POLICIES = (
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSViewPolicy",
)
ADDONS = {  # name: (namespace, versions newest first, pods need IAM permissions)
    "vpc-cni": ("kube-system", ("v1.21.1-eksbuild.3", "v1.20.4-eksbuild.2"), True),
    "kube-proxy": ("kube-system", ("v1.36.0-eksbuild.2", "v1.35.0-eksbuild.2", "v1.34.1-eksbuild.2"), False),
    "coredns": ("kube-system", ("v1.13.1-eksbuild.1", "v1.12.4-eksbuild.1"), False),
    "eks-pod-identity-agent": ("kube-system", ("v1.3.10-eksbuild.2", "v1.3.10-eksbuild.1"), False),
    "aws-efs-csi-driver": ("kube-system", ("v3.4.2-eksbuild.1", "v3.4.1-eksbuild.1"), True),
    "aws-ebs-csi-driver": ("kube-system", ("v1.55.0-eksbuild.1", "v1.53.0-eksbuild.1"), True),
    "metrics-server": ("kube-system", ("v0.8.0-eksbuild.6", "v0.8.0-eksbuild.3"), False),
    "amazon-cloudwatch-observability": ("amazon-cloudwatch", ("v4.7.0-eksbuild.1",), True),
    "snapshot-controller": ("kube-system", ("v8.3.0-eksbuild.1",), False),
}
"""Stand-ins for what `DescribeAddonVersions` answers: real names, plausible versions. A real stack asks AWS or pins its own."""


def addon_versions(name: str, cluster: str) -> list[str]:
    """Versions of an add-on for a Kubernetes version, newest first: kube-proxy has its own for each, as on EKS."""
    return [version for version in ADDONS[name][1] if name != "kube-proxy" or version.startswith(f"v{cluster}.")]


def describe_addon_versions(cloud: Cloud, params: Params) -> Params:
    """Versions of the add-ons, newest first; the newest that fits a Kubernetes version is its default."""
    wanted = params.get("kubernetesVersion")
    addons = []
    for name, (namespace, versions, needs_iam) in ADDONS.items():
        if params.get("addonName") not in (None, name):
            continue
        infos = []
        for version in versions:
            matches = [
                {"clusterVersion": cluster, "platformVersions": ["*"], "defaultVersion": version == addon_versions(name, cluster)[0]}
                for cluster in VERSIONS
                if wanted in (None, cluster) and version in addon_versions(name, cluster)
            ]
            if not matches:
                continue
            infos.append(
                {
                    "addonVersion": version,
                    "architecture": ["amd64", "arm64"],
                    "compatibilities": matches,
                    "requiresIamPermissions": needs_iam,
                }
            )
        addons.append({"addonName": name, "owner": "aws", "publisher": "eks", "addonVersions": infos, "defaultNamespace": namespace})
    return {"addons": addons if wanted in (None, *VERSIONS) else []}


def _check_addon(params: Params) -> None:
    versions = addon_versions(params["addonName"], cluster_of(params["clusterName"])["version"])
    if params.get("addonVersion") not in (None, *versions):
        raise error(
            "InvalidParameterException", f"Addon version specified is not supported: {params['addonName']} {params['addonVersion']}"
        )
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
    identities = cluster_of(params["clusterName"])["identities"]
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
    cluster, name = cluster_of(params["clusterName"]), params["addonName"]
    if name not in ADDONS:
        raise error("InvalidParameterException", f"Addon {name} specified is not supported; there are {', '.join(ADDONS)}")
    if name in cluster["addons"]:
        raise error("ResourceInUseException", f"Addon already exists: {name}")
    _check_addon(params)
    record = shaped("Addon", params) | {
        "status": "ACTIVE",
        "addonVersion": params.get("addonVersion") or addon_versions(name, cluster["version"])[0],
        "health": {"issues": []},
        "addonArn": eks_arn(cloud, f"addon/{params['clusterName']}/{name}", secrets.token_hex(16)),
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": params.get("tags") or {},
        "podIdentityAssociations": [],
        "namespaceConfig": params.get("namespaceConfig") or {"namespace": ADDONS[name][0]},
    }
    _link_addon(cloud, params, record)
    cluster["addons"][name] = record
    return {"addon": record}


def update_addon(cloud: Cloud, params: Params) -> Params:
    """Another version, configuration or role."""
    record = part_of(params, "addons", "addonName", "addon")
    _check_addon(params)
    changed = {key: params[key] for key in ("addonVersion", "serviceAccountRoleArn", "configurationValues") if params.get(key) is not None}
    record |= changed | {"modifiedAt": now()}
    _link_addon(cloud, params, record)
    return finished_update(params["clusterName"], "AddonUpdate", changed)


def delete_addon(cloud: Cloud, params: Params) -> Params:
    """Forget an add-on and the associations it owns."""
    record = part_of(params, "addons", "addonName", "addon")
    _link_addon(cloud, params | {"podIdentityAssociations": []}, record)
    del cluster_of(params["clusterName"])["addons"][params["addonName"]]
    return {"addon": record | {"status": "DELETING"}}


def create_pod_identity(cloud: Cloud, params: Params, owner: str | None = None) -> Params:
    """Give a service account a role."""
    cluster = cluster_of(params["clusterName"])
    trusted_role(cloud, params["roleArn"], "pods.eks.amazonaws.com")
    key = (params["namespace"], params["serviceAccount"])
    if any((item["namespace"], item["serviceAccount"]) == key for item in cluster["identities"].values()):
        raise error("ResourceInUseException", f"Association already exists: service account {'/'.join(key)} has a role already")
    id = f"a-{secrets.token_hex(9)[:17]}"
    record = shaped("PodIdentityAssociation", params) | {
        "associationArn": eks_arn(cloud, f"podidentityassociation/{params['clusterName']}/{id}"),
        "associationId": id,
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": params.get("tags") or {},
        "disableSessionTags": bool(params.get("disableSessionTags")),
    }
    cluster["identities"][id] = record | ({"ownerArn": owner} if owner else {})
    return {"association": cluster["identities"][id]}


def update_pod_identity(cloud: Cloud, params: Params) -> Params:
    """Another role for the same service account."""
    record = part_of(params, "identities", "associationId", "association")
    if params.get("roleArn"):
        trusted_role(cloud, params["roleArn"], "pods.eks.amazonaws.com")
    keys = ("roleArn", "targetRoleArn", "disableSessionTags", "policy")
    record |= {key: params[key] for key in keys if params.get(key) is not None} | {"modifiedAt": now()}
    return {"association": record}


def delete_pod_identity(cloud: Cloud, params: Params) -> Params:
    """Take the role away; one that an add-on owns is changed through the add-on."""
    record = part_of(params, "identities", "associationId", "association")
    if record.get("ownerArn"):
        raise error("InvalidRequestException", f"Association {params['associationId']} is owned by {record['ownerArn']}")
    del cluster_of(params["clusterName"])["identities"][params["associationId"]]
    return {"association": record}


def list_pod_identities(cloud: Cloud, params: Params) -> Params:
    """Associations of a cluster, optionally of one namespace or service account."""
    items = cluster_of(params["clusterName"])["identities"].values()
    keys = [key for key in ("namespace", "serviceAccount") if params.get(key)]
    return {"associations": [item for item in items if all(item[key] == params[key] for key in keys)]}


def create_access_entry(cloud: Cloud, params: Params) -> Params:
    """Let a principal into the cluster."""
    if cluster_of(params["clusterName"])["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        raise error("InvalidRequestException", "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP]")
    return create_access(cloud, params)


def create_access(cloud: Cloud, params: Params) -> Params:
    """Record an access entry, whatever the cluster's authentication mode: EKS makes some itself."""
    cluster, arn = cluster_of(params["clusterName"]), params["principalArn"]
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
        "accessEntryArn": eks_arn(cloud, f"access-entry/{params['clusterName']}", *arn.split(":")[-1].split("/"), secrets.token_hex(16)),
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": params.get("tags") or {},
        "username": params.get("username") or ("system:node:{{EC2PrivateDNSName}}" if kind != "STANDARD" else arn),
        "type": kind,
    }
    cluster["access"][arn] = record | {"policies": {}}
    return {"accessEntry": record}


def update_access_entry(cloud: Cloud, params: Params) -> Params:
    """Other groups or another user name."""
    record = part_of(params, "access", "principalArn", "access entry")
    record |= {key: params[key] for key in ("kubernetesGroups", "username") if params.get(key) is not None} | {"modifiedAt": now()}
    return {"accessEntry": shaped("AccessEntry", record)}


def associate_access_policy(cloud: Cloud, params: Params) -> Params:
    """Give an access entry one of AWS's access policies, for the cluster or for namespaces."""
    record = part_of(params, "access", "principalArn", "access entry")
    if params["policyArn"].removeprefix(ACCESS_POLICY) not in ACCESS_POLICIES:
        raise error("InvalidParameterException", f"The policyArn parameter is not an access policy: {params['policyArn']}")
    if params["accessScope"].get("type") == "namespace" and not params["accessScope"].get("namespaces"):
        raise error("InvalidParameterException", "An access scope of type namespace needs namespaces")
    scope = {"namespaces": []} | params["accessScope"]
    policy = {"policyArn": params["policyArn"], "accessScope": scope, "associatedAt": now(), "modifiedAt": now()}
    record["policies"][params["policyArn"]] = policy
    return {"clusterName": params["clusterName"], "principalArn": params["principalArn"], "associatedAccessPolicy": policy}


def disassociate_access_policy(cloud: Cloud, params: Params) -> Params:
    """Take an access policy away."""
    record = part_of(params, "access", "principalArn", "access entry")
    if record["policies"].pop(params["policyArn"], None) is None:
        raise error("ResourceNotFoundException", f"{params['policyArn']} is not associated with {params['principalArn']}")
    return {}


def list_associated_policies(cloud: Cloud, params: Params) -> Params:
    """Access policies of an entry."""
    record = part_of(params, "access", "principalArn", "access entry")
    return {
        "clusterName": params["clusterName"],
        "principalArn": params["principalArn"],
        "associatedAccessPolicies": list(record["policies"].values()),
    }


def delete_access_entry(cloud: Cloud, params: Params) -> Params:
    """Shut a principal out."""
    part_of(params, "access", "principalArn", "access entry")
    del cluster_of(params["clusterName"])["access"][params["principalArn"]]
    return {}
