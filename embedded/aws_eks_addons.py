"""EKS add-ons: records, checked as EKS checks them."""

from __future__ import annotations

import secrets

import yaml

from embedded.aws_eks_access import create_pod_identity
from embedded.aws_records import VERSIONS, Params, Record, cluster_of, eks_arn, error, finished_update, now, part_of, shaped
from embedded.cloud import Cloud

ADDONS = {  # name: (namespace, versions newest first, pods need IAM permissions)
    "vpc-cni": ("kube-system", ("v1.21.1-eksbuild.3", "v1.20.4-eksbuild.2"), True),
    "kube-proxy": ("kube-system", ("v1.36.0-eksbuild.2", "v1.35.0-eksbuild.2", "v1.34.1-eksbuild.2"), False),
    "coredns": ("kube-system", ("v1.13.1-eksbuild.1", "v1.12.4-eksbuild.1"), False),
    "eks-pod-identity-agent": ("kube-system", ("v1.3.10-eksbuild.2", "v1.3.10-eksbuild.1"), False),
    "aws-efs-csi-driver": ("kube-system", ("v3.4.2-eksbuild.1", "v3.4.1-eksbuild.1"), True),
    "aws-ebs-csi-driver": ("kube-system", ("v1.55.0-eksbuild.1", "v1.53.0-eksbuild.1"), True),
    "metrics-server": ("kube-system", ("v0.8.0-eksbuild.6", "v0.8.0-eksbuild.3"), False),
    "amazon-cloudwatch-observability": ("amazon-cloudwatch", ("v6.2.0-eksbuild.1", "v4.10.3-eksbuild.1"), True),
    "snapshot-controller": ("kube-system", ("v8.3.0-eksbuild.1",), False),
}
"""Stand-ins for what `DescribeAddonVersions` answers: real names, plausible versions. A real stack asks AWS or pins its own."""
_INSIGHTS = (
    "agent agents containerLogs.enabled containerLogs.fluentBit dcgmExporter neuronMonitor tolerations manager.nodeSelector"
    " manager.tolerations manager.affinity manager.resources manager.applicationSignals.autoMonitor"
)
SCHEMAS = {"amazon-cloudwatch-observability": {4: _INSIGHTS, 6: f"{_INSIGHTS} containerInsights.enabled otelContainerInsights"}}
"""Add-on to the keys of its configuration, by the major version they are from; what lies below one is not looked at. Other add-ons take
any."""


def _check_configuration(name: str, version: str, values: Params) -> None:
    by_major = SCHEMAS.get(name)
    if not by_major:
        return
    major = int(version.lstrip("v").partition(".")[0])
    allowed = next(keys.split() for since, keys in sorted(by_major.items(), reverse=True) if major >= since)

    def unknown(part: Params, above: str = "") -> list[str]:
        found = []
        for key, value in part.items():
            path = f"{above}{key}"
            if path in allowed:
                continue
            deeper = isinstance(value, dict) and any(one.startswith(f"{path}.") for one in allowed)
            found += unknown(value, f"{path}.") if deeper else [path]
        return found

    if keys := unknown(values):
        reasons = ", ".join(f"$.{key}: is not defined in the schema and the schema does not allow additional properties" for key in keys)
        message = f"ConfigurationValue provided in request is not supported: Json schema validation failed with error: [{reasons}]"
        raise error("InvalidParameterException", message)


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
        _check_configuration(params["addonName"], params.get("addonVersion") or versions[0], parsed)


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
