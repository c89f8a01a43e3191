"""B8: Container Insights' log groups, rights and configuration. That agents measure anything only AWS can show."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from components import iam_policies, insights_add_on
from components.container_insights import ContainerInsights, ContainerInsightsArgs
from tests.conftest import ACCOUNT, Engine

Build = Callable[..., Engine]
KINDS = ("application", "dataplane", "host", "performance")
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ADD_ON = ("aws:eks/addon:Addon", "i-add-on")


def insights(tags: dict[str, str]) -> Callable[[], ContainerInsights]:
    args = ContainerInsightsArgs(
        cluster_name="c", plain_cluster_name="c", kubernetes_version="1.35", log_retention_days=30, kms_key_arn="arn:key", tags=tags
    )
    return lambda: ContainerInsights("i", args)


def test_b8_it_consists_of_exactly_these_resources(build: Build, tags: dict[str, str]) -> None:
    assert build(insights(tags)).children == {
        *((LOG_GROUP, f"i-{kind}") for kind in KINDS),
        ("aws:iam/role:Role", "i-role"),
        ("aws:iam/rolePolicy:RolePolicy", "i-policy"),
        ADD_ON,
    }


def test_a23_the_log_groups_are_ours_made_first_and_have_an_end(build: Build, tags: dict[str, str]) -> None:
    engine = build(insights(tags))
    groups = engine.of_type(LOG_GROUP)
    assert {inputs["name"] for inputs in groups.values()} == {f"/aws/containerinsights/c/{kind}" for kind in KINDS}
    assert all(inputs["retentionInDays"] == 30 and inputs["kmsKeyId"] == "arn:key" for inputs in groups.values())
    dependencies = engine.request(*ADD_ON).dependencies
    assert all(any(urn.endswith(f"::i-{kind}") for urn in dependencies) for kind in (*KINDS, "policy"))


def test_b3_its_agents_get_their_role_by_pod_identity(build: Build, tags: dict[str, str]) -> None:
    add_on = build(insights(tags)).resources[ADD_ON]
    assert add_on["addonName"] == "amazon-cloudwatch-observability"
    role = f"arn:aws:mock:us-west-2:{ACCOUNT}:i-role"
    assert add_on["podIdentityAssociations"] == [{"serviceAccount": "cloudwatch-agent", "roleArn": role}]


def test_b3_each_action_has_a_reason_and_the_narrowest_resource() -> None:
    reasons = {**iam_policies.INSIGHTS_WRITE, **iam_policies.INSIGHTS_READ}
    assert all(len(reason.split()) > 4 for reason in reasons.values())
    document = json.loads(iam_policies.container_insights(["arn:a", "arn:b"]))
    granted = {action: statement["Resource"] for statement in document["Statement"] for action in statement["Action"]}
    assert set(granted) == set(reasons)
    assert all(granted[action] == ["arn:a:*", "arn:b:*"] for action in iam_policies.INSIGHTS_WRITE)
    assert "logs:CreateLogGroup" not in granted, "a group that came back after a destroy would stay for ever"
    assert all(action.startswith("ec2:Describe") for action, resource in granted.items() if resource == "*")


def values(version: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(insights_add_on.configuration(version))
    return found


@pytest.mark.parametrize("version", ["v4.0.0-eksbuild.1", "v5.2.3-eksbuild.1", "v6.0.0-eksbuild.1", "v12.1.0-eksbuild.1"])
def test_b8_its_controller_stays_on_core_nodes_and_changes_no_program(version: str) -> None:
    manager = values(version)["manager"]
    assert manager["nodeSelector"] == {"lifecycle": "OnDemand"}
    assert "tolerations" not in manager
    assert manager["applicationSignals"]["autoMonitor"]["monitorAllServices"] is False, "it would restart and change Airflow's pods"
    assert "tolerations" not in values(version), "the daemons' own tolerate every taint"


def test_b8_a_second_pipeline_is_switched_off_where_there_is_one() -> None:
    assert values("v6.2.0-eksbuild.1")["otelContainerInsights"] == {"enabled": False}
    assert "otelContainerInsights" not in values("v5.2.3-eksbuild.1"), "a version that does not know the key refuses it"


def test_b8_a_version_that_cannot_be_told_is_refused_with_the_way_out() -> None:
    with pytest.raises(
        ValueError, match=r"v3\.7\.0-eksbuild\.1.*newer cluster\.kubernetesVersion, or set cluster\.containerInsights to false"
    ):
        insights_add_on.configuration("v3.7.0-eksbuild.1")
