"""A3, A4, A5: the Spot group's own inputs. That nodes join and pods land is shown on real nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from components.node_group import NodeWiring
from components.node_template_tags import allocatable_disk_gib
from components.spot_node_group import SpotNodeGroup, SpotNodeGroupArgs
from tests.conftest import Engine, asg_name, built_once

Build = Callable[[Callable[[], Any]], Engine]
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
TAG = "aws:autoscaling/tag:Tag"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"

WIRING = NodeWiring(
    cluster_name="airflow-dev", kubernetes_version="1.35", subnet_ids=["subnet-1", "subnet-2"], security_group_ids=("sg-eks", "sg-nodes")
)


@built_once
def workers(tags: Mapping[str, str], **changes: Any) -> Callable[[], SpotNodeGroup]:
    """The lab's Spot group, changed."""
    plan = {
        "wiring": WIRING,
        "instance_types": ("m5.large", "m4.large", "m5a.large"),
        "min_size": 1,
        "desired_size": 2,
        "max_size": 4,
        "taint_effect": "NO_SCHEDULE",
        "volume_gib": 50,
        "tags": tags,
    }
    return lambda: SpotNodeGroup("ng-spot1", SpotNodeGroupArgs(**{**plan, **changes}))


def test_a3_the_group_consists_of_exactly_these_resources(build: Build, tags: dict[str, str]) -> None:
    assert build(workers(tags)).children == {
        (NODE_GROUP, "ng-spot1"),
        (TEMPLATE, "ng-spot1-template"),
        ("aws:iam/role:Role", "ng-spot1-role"),
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "ng-spot1-AmazonEKSWorkerNodePolicy"),
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "ng-spot1-AmazonEC2ContainerRegistryPullOnly"),
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "ng-spot1-AmazonEKS_CNI_Policy"),
        *((TAG, f"ng-spot1-asg-{name}") for name in ("label", "taint", "disk", "owner")),
        *((TAG, f"ng-spot1-asg-tag-{key}") for key in (*tags, "Component", "CapacityType", "Name")),
    }


def test_a22_the_auto_scaling_group_which_eks_leaves_without_tags_has_the_groups(build: Build, tags: dict[str, str]) -> None:
    engine = build(workers(tags))
    given = {inputs["tag"]["key"]: inputs["tag"]["value"] for inputs in engine.of_type(TAG).values()}
    assert engine.resources[NODE_GROUP, "ng-spot1"]["tags"].items() <= given.items()


def test_a3_a5_the_group_is_spot_labelled_and_tainted_for_good(build: Build, tags: dict[str, str]) -> None:
    group = build(workers(tags)).resources[NODE_GROUP, "ng-spot1"]
    assert group == {
        "clusterName": "airflow-dev",
        "nodeGroupName": "ng-spot1",
        "nodeRoleArn": "arn:aws:mock:us-west-2:123456789012:ng-spot1-role",
        "subnetIds": ["subnet-1", "subnet-2"],
        "version": "1.35",
        "capacityType": "SPOT",
        "amiType": "AL2023_x86_64_STANDARD",
        "instanceTypes": ["m5.large", "m4.large", "m5a.large"],
        "launchTemplate": {"id": "ng-spot1-template-id", "version": "3"},
        "scalingConfig": {"minSize": 1, "desiredSize": 2, "maxSize": 4},
        "updateConfig": {"maxUnavailable": 1},
        "labels": {"lifecycle": "Ec2Spot"},
        "taints": [{"key": "spotInstance", "value": "true", "effect": "NO_SCHEDULE"}],
        "tags": {**tags, "Component": "workers", "CapacityType": "spot", "Name": "ng-spot1"},
    }


def test_only_the_desired_size_is_left_to_the_autoscaler(build: Build, tags: dict[str, str]) -> None:
    request = build(workers(tags)).request(NODE_GROUP, "ng-spot1")
    assert list(request.ignoreChanges) == ["scalingConfig.desiredSize"]


def test_nodes_start_only_when_their_role_may_join(build: Build, tags: dict[str, str]) -> None:
    dependencies = build(workers(tags)).request(NODE_GROUP, "ng-spot1").dependencies
    for policy in ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy"):
        assert any(urn.endswith(f"::ng-spot1-{policy}") for urn in dependencies), policy


def test_a22_instances_disks_and_network_interfaces_carry_the_cost_tags(build: Build, tags: dict[str, str]) -> None:
    template = build(workers(tags)).resources[TEMPLATE, "ng-spot1-template"]
    expected = {**tags, "Component": "workers", "CapacityType": "spot", "Name": "ng-spot1"}
    assert {item["resourceType"]: item["tags"] for item in template["tagSpecifications"]} == {
        "instance": expected,
        "volume": expected,
        "network-interface": expected,
    }


def test_ckv_aws_79_341_pods_cannot_take_the_nodes_credentials(build: Build, tags: dict[str, str]) -> None:
    template = build(workers(tags)).resources[TEMPLATE, "ng-spot1-template"]
    assert template["metadataOptions"] == {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}


def test_aws_0131_the_disk_is_encrypted(build: Build, tags: dict[str, str]) -> None:
    template = build(workers(tags)).resources[TEMPLATE, "ng-spot1-template"]
    assert template["blockDeviceMappings"] == [
        {"deviceName": "/dev/xvda", "ebs": {"volumeSize": 50, "volumeType": "gp3", "encrypted": "true", "deleteOnTermination": "true"}}
    ]


def test_the_template_leaves_to_the_group_what_eks_refuses_in_it(build: Build, tags: dict[str, str]) -> None:
    engine = build(workers(tags))
    template = engine.resources[TEMPLATE, "ng-spot1-template"]
    assert not template.keys() & {"instanceType", "instanceMarketOptions", "imageId", "userData", "keyName"}
    assert not engine.resources[NODE_GROUP, "ng-spot1"].keys() & {"diskSize", "remoteAccess"}


def test_nodes_carry_exactly_the_groups_given(build: Build, tags: dict[str, str]) -> None:
    assert build(workers(tags)).resources[TEMPLATE, "ng-spot1-template"]["vpcSecurityGroupIds"] == ["sg-eks", "sg-nodes"]


def test_arm_nodes_get_an_arm_image(build: Build, tags: dict[str, str]) -> None:
    engine = build(workers(tags, instance_types=("m7g.large", "m6g.large")))
    assert engine.resources[NODE_GROUP, "ng-spot1"]["amiType"] == "AL2023_ARM_64_STANDARD"


def test_a4_mixed_shapes_stop_the_deployment_with_the_reason(build: Build, tags: dict[str, str]) -> None:
    with pytest.raises(Exception, match=r"m5\.large and m5\.xlarge differ: 2 vs 4 vCPU"):
        build(workers(tags, instance_types=("m5.large", "m5.xlarge")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instance_types": ()}, "is empty: give instance types, three or more for Spot"),
        ({"instance_types": ("m5.lage",)}, "did you mean m5.large"),
        ({"min_size": 3}, "0 <= min <= desired <= max, got 3, 2, 4"),
        ({"min_size": 0, "desired_size": 0, "max_size": 0}, "sizes must be"),
        ({"taint_effect": "NoSchedule"}, "must be one of NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE"),
    ],
)
def test_a_group_that_cannot_work_is_refused_before_anything_is_created(
    tags: dict[str, str], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        workers(tags, **changes)()


@pytest.mark.parametrize("effect", ["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"])
def test_b10_a_group_without_nodes_tells_the_autoscaler_what_they_will_be_like(build: Build, tags: dict[str, str], effect: str) -> None:
    engine = build(workers(tags, min_size=0, desired_size=0, taint_effect=effect))
    given = {inputs["tag"]["key"]: inputs["tag"]["value"] for inputs in engine.of_type(TAG).values()}
    described = {key: value for key, value in given.items() if "/" in key}
    spelled = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}[effect]
    prefix = "k8s.io/cluster-autoscaler"
    assert described == {
        f"{prefix}/node-template/label/lifecycle": "Ec2Spot",
        f"{prefix}/node-template/taint/spotInstance": f"true:{spelled}",
        f"{prefix}/node-template/resources/ephemeral-storage": "44Gi",
        f"{prefix}/airflow-dev": "owned",
    }, "without label or taint it would plan a node that no task fits"
    for inputs in engine.of_type(TAG).values():
        assert inputs["tag"]["propagateAtLaunch"] is False, "instances have the launch template's tags"
        assert inputs.get("autoscalingGroupName") in (asg_name("ng-spot1"), None)
    assert engine.resources[NODE_GROUP, "ng-spot1"]["scalingConfig"] == {"minSize": 0, "desiredSize": 0, "maxSize": 4}


@pytest.mark.parametrize(("volume_gib", "left"), [(20, 17), (50, 44), (100, 89)])
def test_b10_the_disk_is_announced_as_what_the_kubelet_leaves_of_it(volume_gib: int, left: int) -> None:
    assert allocatable_disk_gib(volume_gib) == left, "an EKS node of 20 GiB reports 17: more would promise pods a room that is not there"
