"""Functions of the embedded AWS provider: questions to AWS, and the rendering of policy documents."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.signers import RequestSigner

from embedded.cloud import Cloud
from embedded.providers.server import CheckError, ProviderError

Values = dict[str, Any]
Clients = Callable[[str], Any]


@dataclass(frozen=True)
class Function:
    """A function: the arguments it takes, and what answers it."""

    arguments: frozenset[str]
    act: Callable[[Clients, Cloud, Values], Values]


def _filters(args: Values) -> list[Values]:
    return [{"Name": item["name"], "Values": list(item["values"])} for item in args.get("filters") or []]


def get_partition(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """The commercial partition."""
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def get_caller_identity(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """Who calls."""
    found = clients("sts").get_caller_identity()
    return {"id": found["Account"], "accountId": found["Account"], "arn": found["Arn"], "userId": found["UserId"]}


def get_region(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """The cloud's one region."""
    if args.get("name", cloud.region) != cloud.region:
        raise CheckError({"name": f"this embedded cloud is in {cloud.region}"})
    return {"id": cloud.region, "name": cloud.region, "endpoint": f"ec2.{cloud.region}.amazonaws.com", "description": cloud.region}


def get_availability_zones(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """Zones; the embedded region has no local zones, so that an opt-in filter changes nothing."""
    found = clients("ec2").describe_availability_zones()["AvailabilityZones"]
    known = {"opt-in-status": "opt-in-not-required", "zone-type": "availability-zone", "state": "available", "region-name": cloud.region}
    for item in args.get("filters") or []:
        if item["name"] not in known:
            raise CheckError({"filters": f"the embedded cloud has no rule for the filter {item['name']}"})
        if known[item["name"]] not in item["values"]:
            found = []
    if args.get("state", "available") != "available":
        found = []
    left_out = {*(args.get("excludeNames") or []), *(args.get("excludeZoneIds") or [])}
    zones = sorted((item for item in found if not {item["ZoneName"], item["ZoneId"]} & left_out), key=lambda item: str(item["ZoneName"]))
    return {"names": [item["ZoneName"] for item in zones], "zoneIds": [item["ZoneId"] for item in zones], "groupNames": [cloud.region]}


def get_instance_type(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """Size and abilities of an instance type."""
    found = clients("ec2").describe_instance_types(InstanceTypes=[args["instanceType"]])["InstanceTypes"][0]
    cpu, network = found["VCpuInfo"], found["NetworkInfo"]
    return {
        "id": args["instanceType"],
        "defaultVcpus": cpu["DefaultVCpus"],
        "defaultCores": cpu.get("DefaultCores"),
        "defaultThreadsPerCore": cpu.get("DefaultThreadsPerCore"),
        "memorySize": found["MemoryInfo"]["SizeInMiB"],
        "supportedArchitectures": found["ProcessorInfo"]["SupportedArchitectures"],
        "supportedUsagesClasses": found.get("SupportedUsageClasses"),
        "burstablePerformanceSupported": found.get("BurstablePerformanceSupported"),
        "currentGeneration": found.get("CurrentGeneration"),
        "bareMetal": found.get("BareMetal"),
        "hypervisor": found.get("Hypervisor"),
        "instanceStorageSupported": found.get("InstanceStorageSupported"),
        "maximumNetworkInterfaces": network.get("MaximumNetworkInterfaces"),
        "maximumIpv4AddressesPerInterface": network.get("Ipv4AddressesPerInterface"),
    }


def get_instance_types(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """Types that pass filters."""
    pages = clients("ec2").get_paginator("describe_instance_types").paginate(Filters=_filters(args))
    return {"instanceTypes": sorted(item["InstanceType"] for page in pages for item in page["InstanceTypes"])}


def get_instance_type_offerings(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """Which types are offered where."""
    more = {"LocationType": args["locationType"]} if args.get("locationType") else {}
    pages = clients("ec2").get_paginator("describe_instance_type_offerings").paginate(Filters=_filters(args), **more)
    found = [item for page in pages for item in page["InstanceTypeOfferings"]]
    return {
        "instanceTypes": [item["InstanceType"] for item in found],
        "locations": [item["Location"] for item in found],
        "locationTypes": [item["LocationType"] for item in found],
    }


def get_addon_version(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """The default or the newest version of an add-on."""
    asked = {"addonName": args["addonName"], "kubernetesVersion": args["kubernetesVersion"]}
    found = clients("eks").describe_addon_versions(**asked)["addons"]
    versions = found[0]["addonVersions"] if found else []
    if not versions:
        raise ProviderError(f"no version of add-on {args['addonName']} is compatible with Kubernetes {args['kubernetesVersion']}")
    default = [item for item in versions if any(match["defaultVersion"] for match in item["compatibilities"])]
    chosen = versions[0] if args.get("mostRecent") else (default or versions)[0]
    return {"id": args["addonName"], "version": chosen["addonVersion"]}


def get_cluster_auth(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """A token as `aws eks get-token` makes it."""
    sts = clients("sts")
    signer = RequestSigner(sts.meta.service_model.service_id, cloud.region, "sts", "v4", sts._request_signer._credentials, sts.meta.events)
    request = {
        "method": "GET",
        "url": f"{cloud.aws_endpoint}/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": args["name"]},
        "context": {},
    }
    url = signer.generate_presigned_url(request, region_name=cloud.region, expires_in=60, operation_name="")
    return {"id": args["name"], "token": "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")}


def get_cluster(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """A cluster that exists."""
    found = clients("eks").describe_cluster(name=args["name"])["cluster"]
    network = found["resourcesVpcConfig"]
    keys = ("clusterSecurityGroupId", "endpointPrivateAccess", "endpointPublicAccess", "securityGroupIds", "subnetIds", "vpcId")
    return {
        "id": args["name"],
        "name": args["name"],
        **{key: found[key] for key in ("arn", "endpoint", "roleArn", "status", "version")},
        "certificateAuthorities": [found["certificateAuthority"]],
        "tags": found.get("tags") or {},
        "vpcConfig": {key: network[key] for key in keys if key in network} | {"publicAccessCidrs": network.get("publicAccessCidrs") or []},
    }


def get_authorization_token(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """Credentials for the registry, which is open in the embedded cloud."""
    more = {"registryIds": [args["registryId"]]} if args.get("registryId") else {}
    found = clients("ecr").get_authorization_token(**more)["authorizationData"][0]
    user, _, password = base64.b64decode(found["authorizationToken"]).decode().partition(":")
    return {
        "authorizationToken": found["authorizationToken"],
        "userName": user,
        "password": password,
        "proxyEndpoint": f"https://{cloud.registry_host}",
        "expiresAt": found["expiresAt"].strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def get_parameter(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """A parameter of the Systems Manager store."""
    found = clients("ssm").get_parameter(Name=args["name"], WithDecryption=args.get("withDecryption", True))["Parameter"]
    return {"id": args["name"], "value": found["Value"], "type": found["Type"], "version": found["Version"], "arn": found["ARN"]}


def get_secret_version(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """A secret of the Secrets Manager."""
    more = {"versionId": "VersionId", "versionStage": "VersionStage"}
    asked = {"SecretId": args["secretId"]} | {name: args[key] for key, name in more.items() if args.get(key)}
    found = clients("secretsmanager").get_secret_value(**asked)
    text = {"secretString": found["SecretString"]} if "SecretString" in found else {}
    return {"id": f"{args['secretId']}|{found['VersionId']}", "arn": found["ARN"], "versionId": found["VersionId"], **text}


def _one_or_many(items: list[str]) -> str | list[str]:
    return items[0] if len(items) == 1 else sorted(items, reverse=True)


def _principals(items: list[Values]) -> Any:
    if any(item["type"] == "*" for item in items):
        return "*"
    merged: dict[str, list[str]] = {}
    for item in items:
        merged.setdefault(item["type"], []).extend(item["identifiers"])
    return {kind: _one_or_many(identifiers) for kind, identifiers in merged.items()}


def _statement(given: Values) -> Values:
    names = {"actions": "Action", "notActions": "NotAction", "resources": "Resource", "notResources": "NotResource"}
    statement: Values = {"Sid": given["sid"]} if given.get("sid") else {}
    statement["Effect"] = given.get("effect") or "Allow"
    statement |= {name: _one_or_many(list(given[key])) for key, name in names.items() if given.get(key)}
    for key, name in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if given.get(key):
            statement[name] = _principals(given[key])
    for item in given.get("conditions") or []:
        statement.setdefault("Condition", {}).setdefault(item["test"], {})[item["variable"]] = _one_or_many(list(item["values"]))
    return statement


def get_policy_document(clients: Clients, cloud: Cloud, args: Values) -> Values:
    """Render a policy document; statements of the overriding documents replace those of the same Sid."""
    statements: list[Values] = []
    for text in args.get("sourcePolicyDocuments") or []:
        statements += json.loads(text)["Statement"]
    statements += [_statement(item) for item in args.get("statements") or []]
    for text in args.get("overridePolicyDocuments") or []:
        for item in json.loads(text)["Statement"]:
            if item.get("Sid"):
                statements = [other for other in statements if other.get("Sid") != item["Sid"]]
            statements.append(item)
    document: Values = {"Version": args.get("version") or "2012-10-17"} | ({"Id": args["policyId"]} if args.get("policyId") else {})
    document["Statement"] = statements
    return {
        "id": str(zlib.crc32(json.dumps(document).encode())),
        "json": json.dumps(document, indent=2),
        "minifiedJson": json.dumps(document, separators=(",", ":")),
    }


def _function(act: Callable[[Clients, Cloud, Values], Values], arguments: str = "") -> Function:
    return Function(frozenset(arguments.split()), act)


FUNCTIONS = {
    "aws:index/getPartition:getPartition": _function(get_partition, "id"),
    "aws:index/getCallerIdentity:getCallerIdentity": _function(get_caller_identity, "id"),
    "aws:index/getRegion:getRegion": _function(get_region, "id name"),
    "aws:index/getAvailabilityZones:getAvailabilityZones": _function(get_availability_zones, "excludeNames excludeZoneIds filters state"),
    "aws:ec2/getInstanceType:getInstanceType": _function(get_instance_type, "instanceType"),
    "aws:ec2/getInstanceTypes:getInstanceTypes": _function(get_instance_types, "filters"),
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": _function(get_instance_type_offerings, "filters locationType"),
    "aws:eks/getAddonVersion:getAddonVersion": _function(get_addon_version, "addonName kubernetesVersion mostRecent"),
    "aws:eks/getCluster:getCluster": _function(get_cluster, "name"),
    "aws:eks/getClusterAuth:getClusterAuth": _function(get_cluster_auth, "name"),
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": _function(get_authorization_token, "registryId"),
    "aws:iam/getPolicyDocument:getPolicyDocument": _function(
        get_policy_document, "overridePolicyDocuments policyId sourcePolicyDocuments statements version"
    ),
    "aws:secretsmanager/getSecretVersion:getSecretVersion": _function(get_secret_version, "secretId versionId versionStage"),
    "aws:ssm/getParameter:getParameter": _function(get_parameter, "name withDecryption"),
}
