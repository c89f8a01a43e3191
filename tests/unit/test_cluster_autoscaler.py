"""A6: role and chart of the autoscaler. That it adds and removes nodes only AWS can show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

from components.cluster_autoscaler import ClusterAutoscaler, ClusterAutoscalerArgs, policy_document, priority_patterns
from tests.conftest import Engine, asg_name, built_once

Build = Callable[[Callable[[], Any]], Engine]
RELEASE = ("kubernetes:helm.sh/v3:Release", "autoscaler-chart")


@built_once
def autoscaler(tags: Mapping[str, str], **changes: Any) -> Callable[[], ClusterAutoscaler]:
    plan = {"cluster_name": "airflow-dev", "region": "us-west-2", "enabled": True, "chart_version": "9.59.0", "tags": tags}
    return lambda: ClusterAutoscaler("autoscaler", ClusterAutoscalerArgs(**{**plan, **changes}))


def test_a6_the_autoscaler_consists_of_exactly_these_resources(build: Build, tags: dict[str, str]) -> None:
    assert build(autoscaler(tags)).children == {
        RELEASE,
        ("aws:iam/role:Role", "autoscaler-role"),
        ("aws:iam/rolePolicy:RolePolicy", "autoscaler-policy"),
        ("aws:eks/podIdentityAssociation:PodIdentityAssociation", "autoscaler-identity"),
    }


def test_a6_switched_off_it_is_nothing(build: Build, tags: dict[str, str]) -> None:
    assert build(autoscaler(tags, enabled=False)).children == set()


def test_a6_it_may_change_only_the_groups_of_its_own_cluster() -> None:
    look, change = json.loads(policy_document("airflow-dev"))["Statement"]
    assert all(action.partition(":")[2].startswith(("Describe", "Get")) for action in look["Action"])
    assert change["Action"] == ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
    assert change["Condition"] == {"StringEquals": {"aws:ResourceTag/k8s.io/cluster-autoscaler/airflow-dev": "owned"}}


def test_b3_its_role_comes_by_pod_identity_before_its_pod(build: Build, tags: dict[str, str]) -> None:
    engine = build(autoscaler(tags))
    role = engine.resources["aws:iam/role:Role", "autoscaler-role"]
    [statement] = json.loads(role["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    identity = engine.resources["aws:eks/podIdentityAssociation:PodIdentityAssociation", "autoscaler-identity"]
    assert (identity["namespace"], identity["serviceAccount"]) == ("kube-system", "cluster-autoscaler")
    waits_for = {urn.rpartition("::")[2] for urn in engine.request(*RELEASE).dependencies}
    assert waits_for >= {"autoscaler-policy", "autoscaler-identity"}


def test_a6_the_official_chart_runs_on_demand_under_a_fixed_name(build: Build, tags: dict[str, str]) -> None:
    inputs = build(autoscaler(tags)).resources[RELEASE]
    assert (inputs["chart"], inputs["version"], inputs["name"]) == ("cluster-autoscaler", "9.59.0", "cluster-autoscaler")
    assert inputs["repositoryOpts"] == {"repo": "https://kubernetes.github.io/autoscaler"}
    values = inputs["values"]
    assert values["autoDiscovery"] == {"clusterName": "airflow-dev"}
    assert values["nodeSelector"] == {"lifecycle": "OnDemand"}
    assert "tolerations" not in values
    assert values["rbac"]["serviceAccount"] == {"create": True, "name": "cluster-autoscaler"}
    assert values["containerSecurityContext"]["readOnlyRootFilesystem"] is True
    assert values["extraArgs"]["expander"] == "least-waste"
    assert values["extraArgs"]["startup-taint"] == "efs.csi.aws.com/agent-not-ready", "or no pod would fit a node that it plans"


PRIORITIES = ("kubernetes:core/v1:ConfigMap", "autoscaler-priorities")


def test_b10_with_an_order_spot_groups_are_tried_first(build: Build, tags: dict[str, str]) -> None:
    spot, overflow = (asg_name("ng-spot1"), asg_name("ng-spot2")), asg_name("ng-overflow")
    engine = build(autoscaler(tags, priorities={50: spot, 10: (overflow,)}))
    order = engine.resources[PRIORITIES]
    assert order["metadata"] == {"name": "cluster-autoscaler-priority-expander", "namespace": "kube-system"}, "the expander reads no other"
    assert engine.resources[RELEASE]["values"]["extraArgs"]["expander"] == "priority,least-waste"
    assert engine.resources[RELEASE]["values"]["extraArgs"]["max-node-provision-time"] == "5m"
    assert any(urn.endswith("::autoscaler-priorities") for urn in engine.request(*RELEASE).dependencies), "it does not start without them"
    if "data" in order:  # not in a preview
        patterns = yaml.safe_load(order["data"]["priorities"])
        assert list(patterns) == sorted(patterns)
        best, last = patterns[50], patterns[10]
        assert [[name for name in (*spot, overflow) if re.search(pattern, name)] for pattern in (*best, *last)] == [
            [spot[0]], [spot[1]], [overflow]
        ]  # fmt: skip


@pytest.mark.parametrize("near", ["eks-ng-spot1-ab-more", "my-eks-ng-spot1-ab", "eks-ng-spot1xab"])
def test_b10_a_priority_is_that_of_one_group(near: str) -> None:
    [pattern] = yaml.safe_load(priority_patterns({"50": ["eks-ng-spot1-ab"]}))[50]
    assert re.search(pattern, "eks-ng-spot1-ab")
    assert not re.search(pattern, near)
