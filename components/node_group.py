"""A managed node group with its role and launch template: what core and Spot groups have in common.

A group's own tags reach neither its Auto Scaling group nor instances, disks and network interfaces: the first gets tags one by one, the
others by the template. A tainted group, which may have no node for hours, also tells the autoscaler by such tags what its nodes will be
like. The template must not name instance types, market options or an image, which belong to the group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import efs_driver, iam_policies, spot_pools
from components.node_template_tags import OWNER, node_template_tags

TAGGED = ("instance", "volume", "network-interface")
ROOT_DEVICE = "/dev/xvda"
"""Root disk of Amazon Linux 2023."""
DELETE_TIMEOUT = "30m"
"""Draining honours disruption budgets and tasks' grace periods."""


@dataclass(frozen=True, kw_only=True)
class NodeWiring:
    """What the nodes of a cluster have in common."""

    cluster_name: pulumi.Input[str]
    kubernetes_version: pulumi.Input[str]
    """With a launch template EKS does not follow the cluster's version by itself."""
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Private subnets in several zones: each instance type in each zone is a Spot pool."""
    security_group_ids: tuple[pulumi.Input[str], ...]
    """All groups the nodes carry; EKS's own cluster security group must be among them, or they cannot join."""


@dataclass(frozen=True, kw_only=True)
class NodeGroupSpec:
    """Everything in which groups differ."""

    group_name: str
    wiring: NodeWiring
    instance_types: Sequence[str]
    min_size: int
    desired_size: int
    max_size: int
    volume_gib: int
    capacity_type: str
    lifecycle: str
    """Value of the label `lifecycle`."""
    taint_effect: str | None = None
    """Effect of the taint spotInstance=true; None: no taint."""
    startup_taints: pulumi.Input[Sequence[str]] = ()
    """Keys of taints that nodes begin with and that something takes off once the node is ready. No pod has to tolerate them."""
    tags: Mapping[str, str]


def managed_node_group(name: str, spec: NodeGroupSpec, parent: pulumi.Resource) -> aws.eks.NodeGroup:
    """Node group, `{name}-role` and `{name}-template`; `{name}-asg-...`, the tags of its Auto Scaling group."""
    child = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(
        f"{name}-role",
        description=f"Nodes of group {spec.group_name}: join the cluster, pull images, give pods addresses",
        assume_role_policy=iam_policies.trust("ec2.amazonaws.com"),
        tags=spec.tags,
        opts=child,
    )
    policies = [
        aws.iam.RolePolicyAttachment(f"{name}-{policy}", role=role.name, policy_arn=iam_policies.managed(policy), opts=child)
        for policy in iam_policies.NODE_POLICIES
    ]
    template = _launch_template(f"{name}-template", spec, child)
    shape = _shape(spec, pulumi.InvokeOptions(parent=parent))
    own = [{"key": spot_pools.TAINT_KEY, "value": spot_pools.TAINT_VALUE, "effect": spec.taint_effect}] if spec.taint_effect else []
    passing = pulumi.Output.from_input(spec.startup_taints).apply(lambda keys: [{"key": key, "effect": efs_driver.EFFECT} for key in keys])
    group = aws.eks.NodeGroup(
        name,
        cluster_name=spec.wiring.cluster_name,
        node_group_name=spec.group_name,
        node_role_arn=role.arn,
        subnet_ids=spec.wiring.subnet_ids,
        version=spec.wiring.kubernetes_version,
        capacity_type=spec.capacity_type,
        ami_type=shape.apply(lambda same: spot_pools.ARCHITECTURES[same.architecture]),
        instance_types=list(spec.instance_types),
        # at its newest version: a change of the template rolls the group's nodes
        launch_template={"id": template.id, "version": template.latest_version.apply(lambda number: str(int(number)))},
        scaling_config={"min_size": spec.min_size, "desired_size": spec.desired_size, "max_size": spec.max_size},
        update_config={"max_unavailable": 1},
        labels={spot_pools.LIFECYCLE_LABEL: spec.lifecycle},
        taints=passing.apply(lambda more: [*own, *more]),
        tags=spec.tags,
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=policies,  # without them the first nodes cannot join
            ignore_changes=["scalingConfig.desiredSize"],  # the autoscaler's; min and max stay ours
            custom_timeouts=pulumi.CustomTimeouts(delete=DELETE_TIMEOUT),
        ),
    )
    _tag_autoscaling_group(name, group, spec, child)
    return group


def told(group: aws.eks.NodeGroup) -> dict[str, pulumi.Output[str]]:
    """What a component of one group tells of it: `node_group_name`, `node_role_arn`, and `autoscaling_group_name`, which EKS chose."""
    return {
        "node_group_name": group.node_group_name,
        "node_role_arn": group.node_role_arn,
        "autoscaling_group_name": autoscaling_group_name(group),
    }


def autoscaling_group_name(group: aws.eks.NodeGroup) -> pulumi.Output[str]:
    """The Auto Scaling group that EKS made for a node group, and keeps for as long as that lives."""
    return group.resources.apply(lambda made: made[0].autoscaling_groups[0].name)


def _tag_autoscaling_group(name: str, group: aws.eks.NodeGroup, spec: NodeGroupSpec, child: pulumi.ResourceOptions) -> None:
    tags: dict[str, tuple[pulumi.Input[str], str]] = {f"tag-{key}": (key, value) for key, value in spec.tags.items()}
    if spec.taint_effect:
        tags |= node_template_tags(lifecycle=spec.lifecycle, taint_effect=spec.taint_effect, volume_gib=spec.volume_gib)
        tags["owner"] = (pulumi.Output.concat(OWNER, "/", spec.wiring.cluster_name), "owned")
    for short, (key, value) in tags.items():
        aws.autoscaling.Tag(
            f"{name}-asg-{short}",
            autoscaling_group_name=autoscaling_group_name(group),
            tag={"key": key, "value": value, "propagate_at_launch": False},
            opts=child,
        )


def _launch_template(name: str, spec: NodeGroupSpec, child: pulumi.ResourceOptions) -> aws.ec2.LaunchTemplate:
    disk = {"volume_size": spec.volume_gib, "volume_type": "gp3", "encrypted": "true", "delete_on_termination": "true"}
    return aws.ec2.LaunchTemplate(
        name,
        description=f"Tags, disk, security groups and instance metadata of node group {spec.group_name}",
        update_default_version=True,
        vpc_security_group_ids=list(spec.wiring.security_group_ids),
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": 1,  # pods are a hop further: they get roles by Pod Identity, never the node's
        },
        block_device_mappings=[{"device_name": ROOT_DEVICE, "ebs": disk}],
        tag_specifications=[{"resource_type": kind, "tags": spec.tags} for kind in TAGGED],
        tags=spec.tags,
        opts=child,
    )


def _shape(spec: NodeGroupSpec, opts: pulumi.InvokeOptions) -> pulumi.Output[spot_pools.Shape]:
    # by EC2's own data, so that a type which does not exist or differs stops the preview
    answers = [aws.ec2.get_instance_type_output(instance_type=name, opts=opts) for name in spec.instance_types]
    return pulumi.Output.all(*answers).apply(
        lambda known: spot_pools.same_shape(
            spec.group_name,
            [
                spot_pools.Shape(
                    instance_type=answer.instance_type,
                    vcpus=int(answer.default_vcpus),
                    memory_mib=int(answer.memory_size),
                    architectures=tuple(answer.supported_architectures),
                    gpus=int(sum(gpu.count for gpu in answer.gpuses or [])),
                )
                for answer in known
            ],
        )
    )
