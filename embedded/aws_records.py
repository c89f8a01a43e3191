"""What the embedded AWS remembers of EKS, and how its parts find moto's records and report errors."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.utils import get_service_model

from embedded.cloud import ACCOUNT_ID, Cloud

Params = dict[str, Any]
Record = dict[str, Any]
CALLER_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/embedded"
ACCESS_POLICY = "arn:aws:eks::aws:cluster-access-policy/"
VERSIONS = ("1.34", "1.35", "1.36")
"""Kubernetes versions in standard support (2026-11); what runs here is of one version, whichever is asked for."""
DEFAULT_VERSION = "1.35"
clusters: dict[str, Record] = {}
"""Cluster name to its record; parts that belong to a cluster hang below `PARTS` keys."""
PARTS = ("nodegroups", "addons", "access", "identities", "updates")
UPDATE_SECONDS = 1.0
"""How long a version update is in progress; minutes on AWS."""


class AwsError(ServiceException):
    """An AWS error, of a class that moto looks up in the called service's model rather than in its own package's."""


def error(code: str, message: str) -> AwsError:
    """An AWS error."""
    return AwsError(code, message)


def backend(cloud: Cloud, service: str) -> Any:
    """Moto's records of a service."""
    from moto.backends import get_backend

    per_region: Any = get_backend(service)[ACCOUNT_ID]
    return per_region["aws" if service in ("budgets", "iam", "s3") else cloud.region]


def now() -> datetime:
    """The time, as AWS records it."""
    return datetime.now(UTC).replace(microsecond=0)


def eks_arn(cloud: Cloud, *path: str) -> str:
    """ARN of something of EKS."""
    return f"arn:aws:eks:{cloud.region}:{ACCOUNT_ID}:{'/'.join(path)}"


def shaped(shape_name: str, *sources: Params) -> Record:
    """What of the parameters belongs to a record's shape."""
    members = get_service_model("eks").shape_for(shape_name).members
    return {key: value for source in sources for key, value in source.items() if key in members and value is not None}


def cluster_of(name: str) -> Record:
    """The record of a cluster, with those updates carried out whose time has come."""
    if name not in clusters:
        raise error("ResourceNotFoundException", f"No cluster found for name: {name}.")
    cluster = clusters[name]
    present = time.monotonic()
    for _, update, record, outcome in (one for one in cluster["running"] if one[0] <= present):
        record |= outcome | {"status": "ACTIVE"}
        update["status"] = "Successful"
    cluster["running"] = [one for one in cluster["running"] if one[0] > present]
    return cluster


def part_of(params: Params, kind: str, key: str, what: str) -> Record:
    """The record of something that belongs to the cluster a request names."""
    parts: dict[str, Record] = cluster_of(params["clusterName"])[kind]
    if params[key] not in parts:
        raise error("ResourceNotFoundException", f"No {what} found: {params[key]} in cluster {params['clusterName']}.")
    return parts[params[key]]


PODS = "pods.eks.amazonaws.com"
"""Who takes roles for pods: EKS Pod Identity."""


def trusted_role(cloud: Cloud, arn: str, service: str) -> Any:
    """The role of that ARN, if the service may take it."""
    role = next((role for role in backend(cloud, "iam").roles.values() if role.arn == arn), None)
    if role is None or service not in str(role.assume_role_policy_document):
        message = f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not {service}"
        raise error("InvalidParameterException", message)
    return role


def known_subnets(cloud: Cloud, ids: list[str]) -> list[Any]:
    """Moto's records of subnets."""
    known = {subnet.id: subnet for subnet in backend(cloud, "ec2").describe_subnets()}
    missing = [subnet for subnet in ids if subnet not in known]
    if missing or not ids:
        raise error("InvalidParameterException", f"The subnet ID '{', '.join(missing)}' does not exist")
    return [known[subnet] for subnet in ids]


def check_groups(cloud: Cloud, ids: Iterable[str]) -> None:
    """Refuse security groups that do not exist."""
    for group in ids:
        if backend(cloud, "ec2").get_security_group_from_id(group) is None:
            raise error("InvalidParameterException", f"The security group '{group}' does not exist")


def finished_update(name: str, kind: str, changed: Params) -> Params:
    """A finished update, as the real ones become after minutes."""
    return {"update": _update(cluster_of(name), kind, changed, "Successful")}


def started_update(cluster: Record, record: Record, kind: str, changed: Params, outcome: Params) -> Params:
    """An update that is in progress for a while, with its record UPDATING, which then becomes ACTIVE and has the outcome."""
    update = _update(cluster, kind, changed, "InProgress")
    record["status"] = "UPDATING"
    cluster["running"].append((time.monotonic() + UPDATE_SECONDS, update, record, outcome))
    return {"update": dict(update)}


def _update(cluster: Record, kind: str, changed: Params, status: str) -> Record:
    update = {"id": secrets.token_hex(16), "status": status, "type": kind, "createdAt": now(), "errors": []}
    update["params"] = [{"type": key[0].upper() + key[1:], "value": json.dumps(value)} for key, value in changed.items()]
    cluster["updates"][update["id"]] = update
    return update
