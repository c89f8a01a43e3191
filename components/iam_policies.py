"""Policy documents, as plain dictionaries. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

EFS_DRIVER_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonEFSCSIDriverPolicy"
POD_IDENTITY = "pods.eks.amazonaws.com"
"""EKS Pod Identity, by which pods take roles."""
CLUSTER_ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


Reasons = Mapping[str, str]
"""Action, or policy that AWS keeps, to why it is needed. `iam_roles` says whose each is."""
NODE_POLICIES: Reasons = {
    "AmazonEKSWorkerNodePolicy": "the node finds its cluster and joins it",
    "AmazonEC2ContainerRegistryPullOnly": "it pulls images",
    "AmazonEKS_CNI_Policy": "it gives pods addresses",
}
"""EKS user guide, node IAM role; nothing else."""
AUTOSCALER_READ: Reasons = {
    "autoscaling:DescribeAutoScalingGroups": "it finds the groups tagged as this cluster's, and their sizes",
    "autoscaling:DescribeAutoScalingInstances": "which node is of which group",
    "autoscaling:DescribeLaunchConfigurations": "what a node would be like, where a launch configuration says so",
    "autoscaling:DescribeScalingActivities": "that a group found no capacity, so that another is tried",
    "ec2:DescribeImages": "of which architecture a node would be, where a group names requirements in place of types",
    "ec2:DescribeInstanceTypes": "processors and memory of a type",
    "ec2:DescribeLaunchTemplateVersions": "what a node would be like, where a launch template says so",
    "ec2:GetInstanceTypesFromInstanceRequirements": "which types meet a group's requirements",
    "eks:DescribeNodegroup": "labels and taints of a group without a node",
}
"""AWS knows no narrower resource than `*` for these (cluster-autoscaler, cloudprovider/aws/README.md)."""
AUTOSCALER_WRITE: Reasons = {
    "autoscaling:SetDesiredCapacity": "it adds a node for pods that fit nowhere",
    "autoscaling:TerminateInstanceInAutoScalingGroup": "it takes away the node that is idle, and no other",
}
FLOW_LOG_WRITE: Reasons = {
    "logs:CreateLogStream": "each network interface has a stream of its own",
    "logs:DescribeLogStreams": "records go on in the stream that is there",
    "logs:PutLogEvents": "the records themselves",
}
FLOW_LOG_READ: Reasons = {"logs:DescribeLogGroups": "that the group is there; AWS knows no narrower resource than `*`"}
DRILL_READ: Reasons = {"ec2:DescribeInstances": "FIS finds a drill's nodes by their tags; AWS knows no narrower resource than `*`"}
DRILL_WRITE: Reasons = {
    "ec2:SendSpotInstanceInterruptions": "the drills notice and all-spot reclaim nodes with two minutes of notice",
    "ec2:TerminateInstances": "the drill sudden takes a node without a word",
}
LOG_READ: Reasons = {
    "s3:GetObject": "the API server shows the log of a try",
    "s3:ListBucket": "it finds the files of a try by their prefix, and learns that there are none instead of being refused",
    "kms:Decrypt": "what is read is encrypted with the stack's key",
}
LOG_WRITE: Reasons = {
    "s3:PutObject": "a task's pod puts its log there when the try ends",
    "s3:GetObject": "a try that goes on after a deferral appends to what is there, which is read and written anew",
    "s3:ListBucket": "whether there is something to append to",
    "kms:GenerateDataKey": "what is written is encrypted with the stack's key",
    "kms:Decrypt": "and so is what is appended to",
}
INSIGHTS_WRITE: Reasons = {
    "logs:CreateLogStream": "each node writes a stream of its own into each group",
    "logs:PutLogEvents": "logs, and measurements from which CloudWatch itself makes metrics",
    "logs:DescribeLogStreams": "an agent that was restarted finds its stream again",
}
"""To make groups is not among them: one that were made again after a destroy would outlive the stack, and be kept for ever."""
INSIGHTS_READ: Reasons = {
    "ec2:DescribeTags": "the agent names the cluster and the Auto Scaling group of its node",
    "ec2:DescribeVolumes": "and the disks that it measures",
}
"""AWS knows no narrower resource than `*` for these."""


def container_insights(log_group_arns: Sequence[str]) -> str:
    """What the agents of Container Insights may do: write to these log groups only."""
    return document(
        {"Sid": "Write", "Effect": "Allow", "Action": list(INSIGHTS_WRITE), "Resource": [f"{arn}:*" for arn in log_group_arns]},
        {"Sid": "Look", "Effect": "Allow", "Action": list(INSIGHTS_READ), "Resource": "*"},
    )


def log_archive(actions: Reasons, *, bucket_arn: str, prefix: str, kms_key_arn: str) -> str:
    """These actions, each on the narrowest resource it has: objects below a prefix, the bucket, the key."""

    def of(service: str, *, bucket: bool = False) -> list[str]:
        return [action for action in actions if action.startswith(service) and (action == "s3:ListBucket") is bucket]

    return document(
        {"Sid": "Logs", "Effect": "Allow", "Action": of("s3:"), "Resource": f"{bucket_arn}/{prefix}/*"},
        {
            "Sid": "Names",
            "Effect": "Allow",
            "Action": of("s3:", bucket=True),
            "Resource": bucket_arn,
            "Condition": {"StringLike": {"s3:prefix": [f"{prefix}/*"]}},
        },
        {"Sid": "Key", "Effect": "Allow", "Action": of("kms:"), "Resource": kms_key_arn},
    )


def managed(policy: str) -> str:
    """ARN of a policy that AWS keeps."""
    return f"arn:aws:iam::aws:policy/{policy}"


def trust(service: str) -> str:
    """Who may take a role: one AWS service. Pods come through `POD_IDENTITY`, which also tags the session."""
    actions = ["sts:AssumeRole", "sts:TagSession"] if service == POD_IDENTITY else ["sts:AssumeRole"]
    return document({"Effect": "Allow", "Principal": {"Service": service}, "Action": actions})


def document(*statements: dict[str, Any]) -> str:
    """A policy document of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def key_policy(account_id: str, region: str) -> str:
    """A KMS key that the account's own IAM policies govern, and with which CloudWatch may write the account's log groups."""
    return document(
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"}, "Action": "kms:*", "Resource": "*"},
        {
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{region}.amazonaws.com"},
            "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
            "Resource": "*",
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{region}:{account_id}:log-group:*"}},
        },
    )


def log_delivery(log_group_arn: str) -> str:
    """What AWS needs to write records into one log group."""
    return document(
        {
            "Effect": "Allow",
            "Action": list(FLOW_LOG_WRITE),
            "Resource": f"{log_group_arn}:*",
        },
        {"Effect": "Allow", "Action": list(FLOW_LOG_READ), "Resource": "*"},
    )
