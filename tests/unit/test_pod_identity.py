"""Which pods get credentials in the embedded cloud, and what these allow: as on AWS, by association and by the role's policies."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from moto.core.exceptions import ServiceException
from moto.sts.models import sts_backends

from components import iam_policies
from components.log_archive import READERS, WRITERS
from embedded import pod_identity
from embedded.aws_records import backend, clusters
from embedded.cloud import ACCOUNT_ID, Cloud

CLOUD = Cloud(home=Path("/nonexistent"), index=1)
BUCKET, KEY, WRITTEN = "pod-identity-test", "arn:aws:kms:us-west-2:123456789012:key/k", "logs/attempt=1.log"


@pytest.fixture
def associations(monkeypatch: pytest.MonkeyPatch) -> None:
    identities = {name: {"namespace": "airflow", "serviceAccount": name} for name in (*WRITERS, *READERS)}
    monkeypatch.setitem(clusters, "c", {"identities": identities})


@pytest.mark.parametrize(
    ("namespace", "account", "expected"),
    [
        ("airflow", "airflow-worker", True),
        ("airflow", "airflow-triggerer", True),
        ("airflow", "airflow-api-server", True),
        ("airflow", "airflow-scheduler", False),
        ("airflow", "airflow-dag-processor", False),
        ("default", "airflow-worker", False),
    ],
)
def test_b3_pods_of_associated_service_accounts_get_a_token_and_others_nothing(
    namespace: str, account: str, expected: bool, associations: None
) -> None:
    spec = {
        "serviceAccountName": account,
        "containers": [{"name": "base", "env": [{"name": "OWN", "value": "1"}]}],
        "volumes": [{"name": "tmp"}],
    }
    asked = {"apiVersion": "v1", "kind": "AdmissionReview", "request": {"uid": "u", "namespace": namespace, "object": {"spec": spec}}}
    answer = pod_identity.review(CLOUD, asked)["response"]
    assert (answer["uid"], answer["allowed"]) == ("u", True)
    assert ("patch" in answer) is expected
    if expected:
        changes = {change["path"]: change["value"] for change in json.loads(base64.b64decode(answer["patch"]))}
        names = [variable["name"] for variable in changes["/spec/containers"][0]["env"]]
        assert {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_REGION"} < set(names)
        assert names[-1] == "OWN", "what the pod says itself comes last and wins"
        assert [volume["name"] for volume in changes["/spec/volumes"]] == ["tmp", "eks-pod-identity-token"]


def policy(actions: iam_policies.Reasons) -> str:
    return iam_policies.log_archive(actions, bucket_arn=f"arn:aws:s3:::{BUCKET}", prefix="logs", kms_key_arn=KEY)


WRITE, READ = policy(iam_policies.LOG_WRITE), policy(iam_policies.LOG_READ)
OBJECTS = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{BUCKET}/*"}


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Credentials of a role with a policy, and a bucket with one log."""
    iam, s3 = backend(CLOUD, "iam"), backend(CLOUD, "s3")
    trust = iam_policies.trust("pods.eks.amazonaws.com")
    role = iam.create_role("pod-test", trust, "/", None, "", [], "3600")
    iam.put_role_policy("pod-test", "p", request.param)
    bucket = s3.create_bucket(BUCKET, "us-west-2")
    s3.put_object(BUCKET, WRITTEN, b"line")
    bucket.encryption = {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}}}
    yield sts_backends[ACCOUNT_ID]["aws"].assume_role("us-west-2", "pod", role.arn, "", 3600, "")
    s3.delete_object(BUCKET, WRITTEN)
    s3.delete_bucket(BUCKET)
    iam.delete_role_policy("pod-test", "p")
    iam.delete_role("pod-test")


def allowed(session: Any, operation: str, **params: Any) -> bool:
    call = SimpleNamespace(service="s3", operation=operation, params=params, access_key=session.access_key_id)
    try:
        pod_identity.authorize(CLOUD, call, session.session_token)
    except ServiceException as refusal:
        if refusal.code != "AccessDenied":
            raise
        return False
    return True


@pytest.mark.parametrize(("session", "writes"), [(WRITE, True), (READ, False)], ids=["write", "read"], indirect=["session"])
def test_b9_the_archives_roles_allow_what_airflow_does_and_no_more(session: Any, writes: bool) -> None:
    assert allowed(session, "PutObject", Bucket=BUCKET, Key="logs/attempt=2.log") is writes
    assert allowed(session, "GetObject", Bucket=BUCKET, Key=WRITTEN)
    assert allowed(session, "HeadObject", Bucket=BUCKET, Key="logs/missing.log"), "or it would be told 403 and not 404"
    assert allowed(session, "ListObjectsV2", Bucket=BUCKET, Prefix="logs/")
    assert not allowed(session, "PutObject", Bucket=BUCKET, Key="elsewhere.log")
    assert not allowed(session, "DeleteObject", Bucket=BUCKET, Key=WRITTEN)
    assert not allowed(session, "DeleteBucket", Bucket=BUCKET)
    assert not allowed(session, "ListBuckets")


@pytest.mark.parametrize("session", [iam_policies.document(OBJECTS)], ids=["no key, no list"], indirect=True)
def test_b9_without_the_key_or_the_right_to_list_s3_refuses(session: Any) -> None:
    assert allowed(session, "HeadObject", Bucket=BUCKET, Key=WRITTEN)
    assert not allowed(session, "GetObject", Bucket=BUCKET, Key=WRITTEN), "it cannot be decrypted"
    assert not allowed(session, "PutObject", Bucket=BUCKET, Key="logs/attempt=2.log")
    assert not allowed(session, "HeadObject", Bucket=BUCKET, Key="logs/missing.log")


@pytest.mark.parametrize("session", [READ], ids=["read"], indirect=True)
def test_a_pod_without_a_session_or_with_another_ones_token_is_refused(session: Any) -> None:
    for key, token in (("embedded", ""), (session.access_key_id, ""), (session.access_key_id, "stolen")):
        call = SimpleNamespace(service="s3", operation="GetObject", params={"Bucket": BUCKET, "Key": WRITTEN}, access_key=key)
        with pytest.raises(ServiceException) as refusal:
            pod_identity.authorize(CLOUD, call, token)
        assert refusal.value.code == "InvalidAccessKeyId"
