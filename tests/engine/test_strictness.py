"""The embedded cloud refuses what it does not know, and says what it is (row C1)."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
import pytest
from pulumi import automation as auto

from tests.engine.conftest import Engine


def _unknown_type() -> None:
    aws.sqs.Queue("queue")


def _unmapped_input() -> None:
    aws.ec2.Vpc("vpc", cidr_block="10.9.0.0/16", ipv6_ipam_pool_id="ipam-pool-1")


def _refused_by_aws() -> None:
    aws.kms.Key("key", deletion_window_in_days=3)


def _helm_release() -> None:
    k8s.helm.v3.Release("chart", chart="nginx")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (_unknown_type, ["aws:sqs/queue:Queue"]),
        (_unmapped_input, ["ipv6IpamPoolId"]),
        (_refused_by_aws, ["3"]),
        (_helm_release, ["helm.sh/v3:Release"]),
    ],
)
def test_what_is_unknown_is_refused_by_name(engine: Engine, program: Any, words: list[str]) -> None:
    stack = engine.stack("local", program=program)
    with pytest.raises(auto.CommandError) as error:
        stack.up(suppress_progress=True)
    text = str(error.value)
    for word in words:
        assert word in text
    stack.destroy(suppress_progress=True)
    assert engine.inventory() == {}, "a refused resource must not exist"


def test_secrets_are_not_in_the_state_in_clear(engine: Engine) -> None:
    import pulumi_random as random

    def program() -> None:
        password = random.RandomPassword("password", length=24, special=False)
        pulumi.export("password", password.result)

    stack = engine.stack("local", program=program)
    value = stack.up(suppress_progress=True).outputs["password"]
    assert value.secret
    assert len(value.value) == 24
    assert value.value not in engine.state("local")
    stack.destroy(suppress_progress=True)
