"""AWS as pods reach it: EKS Pod Identity's webhook and agent, and AWS's host names over TLS.

On AWS the webhook is beside the API server and the agent on every node. Here both are the embedded AWS, which listens on the bridge as
well, and nodes lead their pods there (`node_init`). Credentials come by a pod's own token; its role's policies decide what it may do.
"""

from __future__ import annotations

import base64
import io
import json
import secrets
import threading
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from flask import request as s3_request
from moto.core.exceptions import ServiceException
from moto.iam.access_control import AssumedRoleAccessKey, CreateAccessKeyFailure, IAMPolicy, PermissionResult
from moto.moto_server.werkzeug_app import MotoRequestHandler
from moto.s3.models import FakeBucket
from moto.sts.models import sts_backends
from werkzeug.serving import make_server

from embedded import pki
from embedded.aws_records import PODS, Params, backend, clusters, error, trusted_role
from embedded.cloud import ACCOUNT_ID, POD_AGENT, POD_AGENT_PORT, POD_AWS_PORT, Cloud

WEBHOOK_PATH = "/embedded/pod-identity"
FOLDER, TOKEN, AUTHORITY = f"/var/run/secrets/{PODS}/serviceaccount", "eks-pod-identity-token", "ca.crt"
SESSION = "embedded.pod"
"""In a request's environment: the session token that a pod sent. Absent: the request came by loopback, from the account's one caller."""


@cache  # once, also when a second cluster is made
def listen(cloud: Cloud, api: Callable[..., Any]) -> None:
    """Start to serve pods, once there is a bridge."""
    names = (cloud.gateway, f"*.{cloud.region}.amazonaws.com", f"*.s3.{cloud.region}.amazonaws.com")
    tls = tuple(map(str, pki.issue(cloud, "aws", common_name="amazonaws.com", hosts=names)))

    def serve(port: int, answer: Callable[..., Any], **more: Any) -> None:
        def application(environ: Params, start_response: Any) -> Any:
            return answer(cloud, environ, start_response)

        server = make_server(cloud.gateway, port, application, threaded=True, request_handler=MotoRequestHandler, **more)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    serve(POD_AWS_PORT, lambda *request: _endpoint(api, *request), ssl_context=tls)
    serve(POD_AGENT_PORT, _agent)


def _endpoint(api: Callable[..., Any], cloud: Cloud, environ: Params, start_response: Any) -> Any:
    """The webhook; anything else is AWS's, with its length and with the bucket in the path."""
    chunked = environ.pop("HTTP_TRANSFER_ENCODING", "") == "chunked"
    body = environ["wsgi.input"].read(-1 if chunked else int(environ.get("CONTENT_LENGTH") or 0))
    if environ["PATH_INFO"] == WEBHOOK_PATH:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(review(cloud, json.loads(body))).encode()]
    bucket, of_s3, _ = environ["HTTP_HOST"].partition(f".s3.{cloud.region}.")
    paths = {name: f"/{bucket}{environ[name]}" for name in ("PATH_INFO", "REQUEST_URI", "RAW_URI")} if of_s3 else {}
    host = f"s3.{cloud.region}.amazonaws.com" if of_s3 else environ["HTTP_HOST"]
    given = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), "HTTP_HOST": host}
    return api(environ | paths | given | {SESSION: environ.get("HTTP_X_AMZ_SECURITY_TOKEN", "")}, start_response)


def _agent(cloud: Cloud, environ: Params, start_response: Any) -> Any:
    try:
        status, answer = "200 OK", credentials(cloud, environ.get("HTTP_AUTHORIZATION", ""))
    except ServiceException as refusal:
        status, answer = "400 Bad Request", {"code": refusal.code, "message": refusal.message}
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


def webhook(cloud: Cloud) -> Params:
    """The object by which the API server asks about each new pod; without an answer it makes the pod all the same, as EKS does."""
    authority = base64.b64encode(pki.ca(cloud)[0].read_bytes()).decode()
    hook = {
        "name": "iam-for-pods.amazonaws.com",
        "clientConfig": {"url": f"https://{cloud.gateway}:{POD_AWS_PORT}{WEBHOOK_PATH}", "caBundle": authority},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
    return {**kind, "metadata": {"name": "pod-identity-webhook"}, "webhooks": [hook]}


def _association(namespace: str, account: str) -> Params | None:
    found = [item for cluster in list(clusters.values()) for item in list(cluster["identities"].values())]
    return next((item for item in found if (item["namespace"], item["serviceAccount"]) == (namespace, account)), None)


def review(cloud: Cloud, asked: Params) -> Params:
    """Answer the API server: a pod whose ServiceAccount has a role gets what its AWS clients look for."""
    spec, answer = asked["request"]["object"]["spec"], {"uid": asked["request"]["uid"], "allowed": True}
    if _association(asked["request"]["namespace"], spec["serviceAccountName"]):
        answer |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(_patch(cloud, spec)).encode()).decode()}
    return {"apiVersion": asked["apiVersion"], "kind": asked["kind"], "response": answer}


def _patch(cloud: Cloud, spec: Params) -> list[Params]:
    variables = {
        "AWS_REGION": cloud.region,
        "AWS_DEFAULT_REGION": cloud.region,
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{POD_AGENT}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{FOLDER}/{TOKEN}",
        "AWS_CA_BUNDLE": f"{FOLDER}/{AUTHORITY}",  # on AWS clients know the authority already
    }
    token = {"serviceAccountToken": {"audience": PODS, "expirationSeconds": 86400, "path": TOKEN}}
    authority = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": AUTHORITY}]}}
    more: dict[str, list[Params]] = {
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "volumeMounts": [{"name": TOKEN, "mountPath": FOLDER, "readOnly": True}],
    }
    containers = [item | {key: [*added, *item.get(key, [])] for key, added in more.items()} for item in spec["containers"]]
    volumes = [*spec.get("volumes", []), {"name": TOKEN, "projected": {"sources": [token, authority]}}]
    return [{"op": "add", "path": f"/spec/{key}", "value": value} for key, value in (("containers", containers), ("volumes", volumes))]


def credentials(cloud: Cloud, token: str) -> Params:
    """What the agent gives for a pod's token: a session of the role that its ServiceAccount has."""
    from embedded.control_plane import administrator

    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token, "audiences": [PODS]}}
    address = f"{cloud.kubernetes_endpoint}/apis/authentication.k8s.io/v1/tokenreviews"
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10, context=administrator(cloud)) as answer:
        status = json.load(answer)["status"]
    if not status.get("authenticated"):
        raise error("InvalidTokenException", f"The token included in the request is not valid: {status.get('error')}")
    namespace, account = status["user"]["username"].split(":")[2:]
    found = _association(namespace, account)
    if found is None or "eks-pod-identity-agent" not in clusters[found["clusterName"]]["addons"]:
        raise error("ResourceNotFoundException", f"{namespace}/{account} has no role, or the add-on eks-pod-identity-agent is missing")
    role = trusted_role(cloud, found["roleArn"], PODS)
    session = f"eks-{account}-{secrets.token_hex(8)}"[:64]
    made = sts_backends[ACCOUNT_ID]["aws"].assume_role(cloud.region, session, role.arn, "", 6 * 3600, "")
    keys = {"AccessKeyId": made.access_key_id, "SecretAccessKey": made.secret_access_key, "Token": made.session_token}
    return keys | {"Expiration": f"{made.expiration:%Y-%m-%dT%H:%M:%SZ}", "AccountId": ACCOUNT_ID}


def authorize(cloud: Cloud, call: Any, session_token: str) -> None:
    """Refuse what the policies of a pod's role do not allow. Moto reads their actions and resources, but not their conditions."""
    try:
        key = AssumedRoleAccessKey(ACCOUNT_ID, "aws", call.access_key, {"X-Amz-Security-Token": session_token})
    except CreateAccessKeyFailure:
        raise error("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.") from None
    for action, resource in needs(cloud, call):
        verdicts = {IAMPolicy(policy).is_action_permitted(action, resource) for policy in key.collect_policies()}
        if PermissionResult.DENIED in verdicts or PermissionResult.PERMITTED not in verdicts:
            raise error("AccessDenied", f"User: {key.arn} is not authorized to perform: {action} on resource: {resource}")


def needs(cloud: Cloud, call: Any) -> Iterator[tuple[str, str]]:
    """Action and resource of all that must be allowed for a call."""
    bucket, name = backend(cloud, "s3").buckets.get(call.params.get("Bucket")), call.params.get("Key")
    if call.service != "s3" or bucket is None:
        yield f"{call.service}:{call.operation}", "*"
        return
    operation = {"HeadObject": "GetObject", "ListObjects": "ListBucket", "ListObjectsV2": "ListBucket"}.get(call.operation, call.operation)
    yield f"s3:{operation}", f"{bucket.arn}/{name}" if name else bucket.arn
    if operation == "GetObject" and name not in bucket.keys:
        yield "s3:ListBucket", bucket.arn  # who may not list must not learn that it is missing
    encryption = (bucket.encryption or {}).get("Rule", {}).get("ApplyServerSideEncryptionByDefault", {})
    use = {"GetObject": "kms:Decrypt", "PutObject": "kms:GenerateDataKey"}.get(call.operation)
    if use and "KMSMasterKeyID" in encryption:
        yield use, encryption["KMSMasterKeyID"]


def read_conditions_of_buckets() -> None:
    """Moto takes a bucket's policy that refuses what comes without TLS as one that refuses everything."""
    original = FakeBucket.get_permission

    def permission(bucket: Any, action: str, resource: str) -> Any:
        only_tls = bucket.policy and b"aws:SecureTransport" in bucket.policy
        return PermissionResult.NEUTRAL if only_tls and s3_request.scheme == "https" else original(bucket, action, resource)

    FakeBucket.get_permission = permission
