"""B9: the archive's bucket, who may do what with it, and what Airflow is told. That pods write there and read is shown by the e2e tier."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from components import iam_policies
from components.log_archive import LogArchive, LogArchiveArgs, archive_config, lifecycle, only_with_tls
from tests.conftest import Engine

Build = Callable[..., Engine]
BUCKET = "arn:aws:s3:::logs"


def archive(tags: dict[str, str], **changes: Any) -> Callable[[], LogArchive]:
    plan = {
        "namespace": "airflow",
        "retention_days": 365,
        "delete_with_stack": False,
        "cluster_name": "c",
        "kms_key_arn": "arn:key",
        "tags": tags,
    }
    args = LogArchiveArgs(**{**plan, **changes})
    return lambda: LogArchive("a", args)


def test_b9_it_consists_of_exactly_these_resources(build: Build, tags: dict[str, str]) -> None:
    assert build(archive(tags)).children == {
        ("aws:s3/bucket:Bucket", "a-bucket"),
        ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "a-private"),
        ("aws:s3/bucketVersioning:BucketVersioning", "a-versions"),
        ("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "a-encryption"),
        ("aws:s3/bucketPolicy:BucketPolicy", "a-only-tls"),
        ("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "a-lifecycle"),
        *((kind, f"a-{verb}-{what}") for verb in ("write", "read") for kind, what in _ROLE),
        *(("aws:eks/podIdentityAssociation:PodIdentityAssociation", f"a-{pair}") for pair in _PAIRS),
    }


_ROLE = (("aws:iam/role:Role", "role"), ("aws:iam/rolePolicy:RolePolicy", "policy"))
_PAIRS = ("write-airflow-worker", "write-airflow-triggerer", "read-airflow-api-server")


def test_b9_the_bucket_is_private_versioned_and_encrypted_with_the_stacks_key(build: Build, tags: dict[str, str]) -> None:
    engine = build(archive(tags))
    [private] = engine.of_type("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").values()
    assert [private[key] for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")] == [True] * 4
    [rule] = engine.resources["aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "a-encryption"][
        "rules"
    ]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "arn:key"}
    assert rule["bucketKeyEnabled"] is True
    assert engine.resources["aws:s3/bucketVersioning:BucketVersioning", "a-versions"]["versioningConfiguration"] == {"status": "Enabled"}
    assert engine.resources["aws:s3/bucket:Bucket", "a-bucket"]["forceDestroy"] is False


def test_b9_what_comes_in_clear_is_refused() -> None:
    [statement] = json.loads(only_with_tls(BUCKET))["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert statement["Resource"] == [BUCKET, f"{BUCKET}/*"]


@pytest.mark.parametrize(("days", "rules"), [(0, ["leftovers"]), (365, ["leftovers", "logs"])])
def test_b9_logs_go_by_themselves_only_when_asked(days: int, rules: list[str]) -> None:
    assert [rule["id"] for rule in lifecycle(days)] == rules
    assert all(rule["expiration"] == {"days": days} for rule in lifecycle(days) if rule["id"] == "logs")


@pytest.mark.parametrize("actions", [iam_policies.LOG_READ, iam_policies.LOG_WRITE], ids=["read", "write"])
def test_b3_each_action_has_a_reason_and_the_narrowest_resource(actions: iam_policies.Reasons) -> None:
    assert all(len(reason.split()) > 4 for reason in actions.values())
    document = json.loads(iam_policies.log_archive(actions, bucket_arn=BUCKET, prefix="logs", kms_key_arn="arn:key"))
    granted = {action: statement["Resource"] for statement in document["Statement"] for action in statement["Action"]}
    assert set(granted) == set(actions)
    assert not [action for action in granted if "*" in action or "Delete" in action], "nobody can delete a log"
    for action, resource in granted.items():
        assert resource == ("arn:key" if action.startswith("kms:") else BUCKET if action == "s3:ListBucket" else f"{BUCKET}/logs/*")


def test_b9_an_upload_leaves_the_logs_of_lost_tries_alone() -> None:
    told = archive_config("s3://logs/logs")
    assert told["AIRFLOW__LOGGING__REMOTE_LOGGING"] == "True"
    assert told["AIRFLOW__LOGGING__DELETE_LOCAL_LOGS"] == "False"
    assert not [value for value in told.values() if "@" in value], "credentials come by Pod Identity"
