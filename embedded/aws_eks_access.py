"""EKS Pod Identity and access entries: records, checked as EKS checks them."""

from __future__ import annotations

import re
import secrets

from embedded.aws_records import (
    ACCESS_POLICY,
    PODS,
    Params,
    cluster_of,
    eks_arn,
    error,
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


def create_pod_identity(cloud: Cloud, params: Params, owner: str | None = None) -> Params:
    """Give a service account a role."""
    cluster = cluster_of(params["clusterName"])
    trusted_role(cloud, params["roleArn"], PODS)
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
        trusted_role(cloud, params["roleArn"], PODS)
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
