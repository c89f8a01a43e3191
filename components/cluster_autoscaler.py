"""Adds nodes for pods that wait and removes nodes that nobody needs: the official chart, with a role of its own by Pod Identity.

Owns role and release, or nothing when it is switched off: node groups then keep their size. Without it tasks beyond the present nodes wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components import iam_policies
from components.cost_tags import component_tags
from components.spot_pools import LIFECYCLE_LABEL, ON_DEMAND_LIFECYCLE

NAMESPACE = "kube-system"
NAME = "cluster-autoscaler"
REPOSITORY = "https://kubernetes.github.io/autoscaler"
TIMEOUT_SECONDS = 600
READ_ACTIONS = (
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeLaunchConfigurations",
    "autoscaling:DescribeScalingActivities",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:GetInstanceTypesFromInstanceRequirements",
    "eks:DescribeNodegroup",
)
"""AWS knows no narrower resource than `*` for these."""
WRITE_ACTIONS = ("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup")


@dataclass(frozen=True, kw_only=True)
class ClusterAutoscalerArgs:
    """Which cluster it scales."""

    cluster_name: pulumi.Input[str]
    region: str
    enabled: bool
    chart_version: str
    """Its autoscaler must be of the cluster's Kubernetes version."""
    tags: Mapping[str, str]


class ClusterAutoscaler(pulumi.ComponentResource):
    """The Cluster Autoscaler on an On-Demand node; it discovers the node groups by the tags EKS gives their Auto Scaling groups."""

    enabled: pulumi.Output[bool]
    """Whether it runs."""

    def __init__(self, name: str, args: ClusterAutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:ClusterAutoscaler", name, None, opts)
        if args.enabled:
            self._install(name, args)
        self.enabled = pulumi.Output.from_input(args.enabled)
        self.register_outputs({"enabled": self.enabled})

    def _install(self, name: str, args: ClusterAutoscalerArgs) -> None:
        child = pulumi.ResourceOptions(parent=self)
        tags = component_tags(args.tags, "cluster")
        role = aws.iam.Role(
            f"{name}-role",
            description="Cluster Autoscaler: read all groups, change those of its own cluster",
            assume_role_policy=iam_policies.trust("pods.eks.amazonaws.com"),
            tags=tags,
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-policy", role=role.name, policy=pulumi.Output.from_input(args.cluster_name).apply(policy_document), opts=child
        )
        identity = aws.eks.PodIdentityAssociation(
            f"{name}-identity",
            cluster_name=args.cluster_name,
            namespace=NAMESPACE,
            service_account=NAME,
            role_arn=role.arn,
            tags=tags,
            opts=child,
        )
        k8s.helm.v3.Release(
            f"{name}-chart",
            name=NAME,  # or Helm would name it, and its ServiceAccount, at random
            namespace=NAMESPACE,
            chart=NAME,
            version=args.chart_version,
            repository_opts={"repo": REPOSITORY},
            values=chart_values(args.cluster_name, args.region),
            timeout=TIMEOUT_SECONDS,
            # credentials are put into a pod when it starts: what is not there then never comes
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[policy, identity])),
        )


def policy_document(cluster_name: str) -> str:
    """What it may do: change only the groups that EKS tagged as this cluster's."""
    owned = {"StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster_name}": "owned"}}
    return iam_policies.document(
        {"Sid": "Look", "Effect": "Allow", "Action": list(READ_ACTIONS), "Resource": "*"},
        {"Sid": "ScaleOwnGroups", "Effect": "Allow", "Action": list(WRITE_ACTIONS), "Resource": "*", "Condition": owned},
    )


def chart_values(cluster_name: pulumi.Input[str], region: str) -> dict[str, Any]:
    """Values of the chart; the rest are its defaults."""
    return {
        "fullnameOverride": NAME,
        "autoDiscovery": {"clusterName": cluster_name},
        "awsRegion": region,
        "rbac": {"serviceAccount": {"create": True, "name": NAME}},
        "nodeSelector": {LIFECYCLE_LABEL: ON_DEMAND_LIFECYCLE},
        "priorityClassName": "system-cluster-critical",
        "resources": {"requests": {"cpu": "50m", "memory": "300Mi"}, "limits": {"cpu": "500m", "memory": "600Mi"}},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containerSecurityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "extraArgs": {
            "balance-similar-node-groups": True,  # spread over Spot pools
            "expander": "least-waste",
            "skip-nodes-with-system-pods": False,  # CoreDNS must not keep an idle node alive
            "max-node-provision-time": "5m",  # a pool without capacity is given up in time to try another
        },
    }
