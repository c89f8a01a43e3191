"""The stack's key: who may use it and how it ends. That KMS accepts its policy is shown by deploying."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from components.encryption_key import EncryptionKey, EncryptionKeyArgs
from tests.conftest import ACCOUNT, Engine

Build = Callable[[Callable[[], Any]], Engine]


def test_ckv_aws_7_33_the_key_rotates_and_belongs_to_the_account(build: Build, tags: dict[str, str]) -> None:
    engine = build(lambda: EncryptionKey("airflow", EncryptionKeyArgs(region="us-west-2", tags=tags)))
    assert engine.children == {("aws:kms/key:Key", "airflow-key")}
    key = engine.resources["aws:kms/key:Key", "airflow-key"]
    assert key["enableKeyRotation"] is True
    assert key["deletionWindowInDays"] == 7
    account, logs = json.loads(key["policy"])["Statement"]
    assert account["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert logs["Principal"] == {"Service": "logs.us-west-2.amazonaws.com"}
    assert logs["Condition"] == {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:us-west-2:{ACCOUNT}:log-group:*"}}, (
        "CloudWatch may use it for this account's log groups only"
    )
    assert engine.registered_outputs("airflow") == {"arn": f"arn:aws:mock:us-west-2:{ACCOUNT}:airflow-key"}


def test_a_key_that_exists_is_taken_and_none_is_made(build: Build, tags: dict[str, str]) -> None:
    theirs = "arn:aws:kms:us-west-2:123456789012:key/1"
    engine = build(lambda: EncryptionKey("airflow", EncryptionKeyArgs(region="us-west-2", kms_key_arn=theirs, tags=tags)))
    assert engine.children == set()
    assert engine.registered_outputs("airflow") == {"arn": theirs}
