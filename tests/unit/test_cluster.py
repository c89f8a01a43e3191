"""A1, A2, A7, B3: the control plane's inputs, core nodes and add-ons. The children of `eks.Cluster` are the engine tier's to see."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from components.cluster import Cluster, ClusterArgs
from components.network import NetworkIds
from components.settings import ClusterSettings, CoreSettings
from tests.conftest import ACCOUNT, Engine, built_once, eks_group, secrets_of

Build = Callable[[Callable[[], Any]], Engine]
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
ADDON = "aws:eks/addon:Addon"
ADMIN = f"arn:aws:iam::{ACCOUNT}:role/team/Admin"
SETTINGS = ClusterSettings(
    name="airflow-dev",
    kubernetes_version="1.35",
    endpoint_public=True,
    public_access_cidrs=("198.51.100.7/32",),
    log_retention_days=30,
    admin_principal_arns=(ADMIN,),
    container_insights=False,
)
KEY = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1"
CORE = CoreSettings(instance_types=("m5.large",), min_size=2, desired_size=2, max_size=4, volume_gib=50)


@built_once
def cluster(tags: Mapping[str, str], settings: ClusterSettings = SETTINGS) -> Callable[[], Cluster]:
    """A cluster in three subnets."""
    return lambda: Cluster(
        "airflow",
        ClusterArgs(
            kms_key_arn=KEY,
            network=NetworkIds(
                vpc_id="vpc-1", private=("subnet-1", "subnet-2"), public=("subnet-3", "subnet-4"), nodes=("subnet-1", "subnet-2")
            ),
            cluster=settings,
            core=CORE,
            tags=tags,
        ),
    )


def test_a1_the_cluster_consists_of_exactly_these_resources(build: Build, tags: dict[str, str]) -> None:
    assert build(cluster(tags)).children == {
        ("aws:cloudwatch/logGroup:LogGroup", "airflow-logs"),
        ("aws:ec2/securityGroup:SecurityGroup", "airflow-nodes"),
        ("eks:index:Cluster", "airflow"),
        ("aws:iam/role:Role", "airflow-ng-on-demand-role"),
        (ATTACHMENT, "airflow-ng-on-demand-AmazonEKSWorkerNodePolicy"),
        (ATTACHMENT, "airflow-ng-on-demand-AmazonEC2ContainerRegistryPullOnly"),
        (ATTACHMENT, "airflow-ng-on-demand-AmazonEKS_CNI_Policy"),
        ("aws:ec2/launchTemplate:LaunchTemplate", "airflow-ng-on-demand-template"),
        ("aws:eks/nodeGroup:NodeGroup", "airflow-ng-on-demand"),
        *(("aws:autoscaling/tag:Tag", f"airflow-ng-on-demand-asg-tag-{key}") for key in (*tags, "Component", "CapacityType", "Name")),
        (ADDON, "airflow-pod-identity"),
        ("aws:iam/role:Role", "airflow-efs-driver-role"),
        (ATTACHMENT, "airflow-efs-driver-policy"),
        (ADDON, "airflow-efs-driver"),
    }


def test_a1_the_control_plane_is_private_logged_encrypted_and_in_api_mode(build: Build, tags: dict[str, str]) -> None:
    """CKV_AWS_37, 38, 39, 58, 339 and CIS 4.1.7."""
    inputs = build(cluster(tags)).resources["eks:index:Cluster", "airflow"]
    own = {**tags, "Component": "cluster", "CapacityType": "none", "Name": "airflow"}
    assert inputs == {
        "name": "airflow-dev",
        "version": "1.35",
        "vpcId": "vpc-1",
        "privateSubnetIds": ["subnet-1", "subnet-2"],
        "publicSubnetIds": ["subnet-3", "subnet-4"],
        "authenticationMode": "API",
        "accessEntries": {
            "role-team-Admin": {
                "principalArn": ADMIN,
                "accessPolicies": {
                    "admin": {
                        "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
                        "accessScope": {"type": "cluster"},
                    }
                },
                "tags": own,
            }
        },
        "skipDefaultNodeGroup": True,
        "createOidcProvider": False,
        "enabledClusterLogTypes": ["api", "audit", "authenticator", "controllerManager", "scheduler"],
        "encryptionConfigKeyArn": KEY,
        "endpointPrivateAccess": True,
        "endpointPublicAccess": True,
        "publicAccessCidrs": ["198.51.100.7/32"],
        "vpcCniOptions": {"enableNetworkPolicy": True, "resolveConflictsOnCreate": "OVERWRITE", "resolveConflictsOnUpdate": "OVERWRITE"},
        "upgradePolicy": {"supportType": "STANDARD"},
        "tags": own,
    }


def test_ckv_aws_38_a_private_control_plane_names_no_addresses(build: Build, tags: dict[str, str]) -> None:
    private = replace(SETTINGS, endpoint_public=False, public_access_cidrs=())
    inputs = build(cluster(tags, private)).resources["eks:index:Cluster", "airflow"]
    assert inputs["endpointPublicAccess"] is False, "given explicitly: AWS's own default is public"
    assert "publicAccessCidrs" not in inputs


def test_ckv_aws_38_a_public_control_plane_without_addresses_is_refused(tags: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"setting cluster\.publicAccessCidrs"):
        cluster(tags, replace(SETTINGS, public_access_cidrs=()))()


def test_a2_core_nodes_are_on_demand_labelled_and_untainted(build: Build, tags: dict[str, str]) -> None:
    group = build(cluster(tags)).resources["aws:eks/nodeGroup:NodeGroup", "airflow-ng-on-demand"]
    assert group["nodeGroupName"] == "ng-on-demand"
    assert group["capacityType"] == "ON_DEMAND"
    assert group["labels"] == {"lifecycle": "OnDemand"}
    assert group["taints"] == []
    assert group["scalingConfig"] == {"minSize": 2, "desiredSize": 2, "maxSize": 4}
    assert group["tags"] == {**tags, "Component": "core", "CapacityType": "on-demand", "Name": "ng-on-demand"}


def test_nodes_carry_eks_own_security_group_and_ours(build: Build, tags: dict[str, str]) -> None:
    template = build(cluster(tags)).resources["aws:ec2/launchTemplate:LaunchTemplate", "airflow-ng-on-demand-template"]
    assert template["vpcSecurityGroupIds"] == [eks_group("airflow-dev"), "airflow-nodes-id"]


def test_our_group_of_nodes_admits_nobody_and_no_load_balancer_picks_it(build: Build, tags: dict[str, str]) -> None:
    group = build(cluster(tags)).resources["aws:ec2/securityGroup:SecurityGroup", "airflow-nodes"]
    assert (group["ingress"], group["egress"]) == ([], [])
    assert group["description"], "CKV_AWS_23"
    assert not any(key.startswith("kubernetes.io/cluster/") for key in group["tags"]), "two groups so tagged confuse the cloud controller"


def test_a23_the_log_group_is_ours_so_that_it_has_an_end(build: Build, tags: dict[str, str]) -> None:
    engine = build(cluster(tags))
    logs = engine.resources["aws:cloudwatch/logGroup:LogGroup", "airflow-logs"]
    assert (logs["name"], logs["retentionInDays"]) == ("/aws/eks/airflow-dev/cluster", 30)
    assert logs["kmsKeyId"] == KEY, "CKV_AWS_158"
    dependencies = engine.request("eks:index:Cluster", "airflow").dependencies
    assert any(urn.endswith("::airflow-logs") for urn in dependencies), "EKS would make one without retention first"


def test_a7_b3_the_efs_driver_gets_its_role_by_pod_identity(build: Build, tags: dict[str, str]) -> None:
    engine = build(cluster(tags))
    driver = engine.resources[ADDON, "airflow-efs-driver"]
    assert driver["addonName"] == "aws-efs-csi-driver"
    assert driver["addonVersion"] == "v3.4.2-eksbuild.1"
    role = f"arn:aws:mock:us-west-2:{ACCOUNT}:airflow-efs-driver-role"
    assert driver["podIdentityAssociations"] == [
        {"serviceAccount": "efs-csi-controller-sa", "roleArn": role},
        {"serviceAccount": "efs-csi-node-sa", "roleArn": role},
    ]
    assert "serviceAccountRoleArn" not in driver
    trust = json.loads(engine.resources["aws:iam/role:Role", "airflow-efs-driver-role"]["assumeRolePolicy"])
    assert trust["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    ]


def test_b8_container_insights_wait_for_credentials_and_nodes(build: Build, tags: dict[str, str]) -> None:
    assert not build(cluster(tags)).of_type("airflow-on-eks:index:ContainerInsights")
    engine = build(cluster(tags, replace(SETTINGS, container_insights=True)))
    dependencies = engine.request(ADDON, "airflow-insights-add-on").dependencies
    for needed in ("airflow-pod-identity", "airflow-ng-on-demand", "airflow-insights-policy", "airflow-insights-performance"):
        assert any(urn.endswith(f"::{needed}") for urn in dependencies), needed
    assert engine.resources[ADDON, "airflow-insights-add-on"]["clusterName"] == "airflow-dev"


def test_b3_the_pod_identity_agent_comes_before_what_needs_it(build: Build, tags: dict[str, str]) -> None:
    engine = build(cluster(tags))
    assert engine.resources[ADDON, "airflow-pod-identity"]["addonName"] == "eks-pod-identity-agent"
    dependencies = engine.request(ADDON, "airflow-efs-driver").dependencies
    for needed in ("airflow-pod-identity", "airflow-ng-on-demand", "airflow-efs-driver-policy"):
        assert any(urn.endswith(f"::{needed}") for urn in dependencies), needed


def test_a23_nodes_and_add_ons_go_before_the_control_plane(build: Build, tags: dict[str, str]) -> None:
    engine = build(cluster(tags))
    for kind, name in (("aws:eks/nodeGroup:NodeGroup", "airflow-ng-on-demand"), (ADDON, "airflow-pod-identity")):
        dependencies = engine.request(kind, name).dependencies
        assert any("eks:index:Cluster" in urn for urn in dependencies), f"{name} must be removed while the cluster still answers"


def test_the_kubeconfig_is_a_secret(build: Build, tags: dict[str, str]) -> None:
    outputs = build(cluster(tags)).registered_outputs("airflow")
    assert list(secrets_of(outputs["kubeconfig"])) == ['{"kind": "Config", "cluster": "airflow-dev"}']
    assert outputs["cluster_security_group_id"] == eks_group("airflow-dev")
    assert outputs["node_security_group_id"] == "airflow-nodes-id"
