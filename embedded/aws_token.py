"""Authenticates `aws eks get-token` tokens, as EKS's webhook does for its API servers.

A token is a presigned STS request that names the cluster in a signed header. The signature is checked with the same secret, then the
principal is mapped to a Kubernetes user by the cluster's access entries.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from embedded.aws_records import ACCESS_POLICY, CALLER_ARN, backend, clusters
from embedded.cloud import ACCOUNT_ID, Cloud

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
VALID = timedelta(minutes=15)
CALLER_KEY = "embedded"
"""Access key and secret of the account's one caller, who is also the creator of its clusters."""


class Refused(Exception):
    """Why a token is not accepted."""


def review(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Answer a TokenReview of the API server."""
    status: dict[str, Any]
    try:
        status = {"authenticated": True, "user": _user(cloud, request.get("spec", {}).get("token", ""))}
    except Refused as reason:
        status = {"authenticated": False, "error": str(reason)}
    return {"apiVersion": request.get("apiVersion", "authentication.k8s.io/v1"), "kind": "TokenReview", "status": status}


def _user(cloud: Cloud, token: str) -> dict[str, Any]:
    if not token.startswith(PREFIX):
        raise Refused("not a token of 'aws eks get-token'")
    text = token.removeprefix(PREFIX)
    try:
        url = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        key, *scope = query["X-Amz-Credential"].split("/")
        signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except (ValueError, KeyError) as problem:
        raise Refused(f"the token is not a presigned request: {problem}") from problem
    if query.get("Action") != "GetCallerIdentity" or CLUSTER_HEADER not in query.get("X-Amz-SignedHeaders", ""):
        raise Refused(f"the token must sign GetCallerIdentity and the header {CLUSTER_HEADER}")
    if not timedelta(minutes=-5) < datetime.now(UTC) - signed_at < VALID:
        raise Refused(f"the token was signed at {signed_at}, which is not within {VALID}")
    secret, arn, session = _principal(cloud, key)
    for name, cluster in clusters.items():
        if hmac.compare_digest(_signature(url.netloc, url.path, query, name, secret, scope), query.get("X-Amz-Signature", "")):
            return _mapped(cluster, arn, session, key)
    raise Refused("the signature fits none of the clusters: wrong cluster name or wrong secret")


def _signature(host: str, path: str, query: dict[str, str], cluster: str, secret: str, scope: list[str]) -> str:
    values = {"host": host, CLUSTER_HEADER: cluster}
    names = query["X-Amz-SignedHeaders"].split(";")
    pairs = sorted((quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in query.items() if key != "X-Amz-Signature")
    canonical_query = "&".join(f"{key}={value}" for key, value in pairs)
    headers = "".join(f"{name}:{values.get(name, '')}\n" for name in names)
    canonical = "\n".join(["GET", path or "/", canonical_query, headers, ";".join(names), EMPTY_SHA256])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], "/".join(scope), digest])
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def _principal(cloud: Cloud, key: str) -> tuple[str, str, str]:
    """Secret, ARN and session name of who has an access key."""
    if key == CALLER_KEY:
        return CALLER_KEY, CALLER_ARN, ""
    from moto.sts.models import sts_backends

    for role in sts_backends[ACCOUNT_ID]["aws"].assumed_roles:
        if role.access_key_id == key:
            return role.secret_access_key, role.role_arn, role.session_name
    user_key = backend(cloud, "iam").access_keys.get(key)
    if user_key:
        return user_key.secret_access_key, f"arn:aws:iam::{ACCOUNT_ID}:user/{user_key.user_name}", ""
    raise Refused(f"nobody has the access key {key}")


def _mapped(cluster: dict[str, Any], arn: str, session: str, key: str) -> dict[str, Any]:
    entry = cluster["access"].get(arn)
    if entry is None:
        raise Refused(f"{arn} has no access entry in cluster {cluster['name']}")
    groups = list(entry["kubernetesGroups"])
    for policy in entry["policies"].values():
        name, scope = policy["policyArn"].removeprefix(ACCESS_POLICY), policy["accessScope"]
        if scope["type"] == "cluster" and name == "AmazonEKSClusterAdminPolicy":
            groups.append("system:masters")
        else:  # EKS's own authorizer knows these; here they are groups that a binding may name
            groups += [f"eks-access-policy:{name}" + (f":{namespace}" if namespace else "") for namespace in scope["namespaces"] or [""]]
    extra = {"arn": [arn], "accessKeyId": [key], "canonicalArn": [arn]} | ({"sessionName": [session]} if session else {})
    username = entry["username"].replace("{{SessionName}}", session)
    return {"username": username, "uid": f"aws-iam-authenticator:{ACCOUNT_ID}:{arn}", "groups": groups, "extra": extra}
