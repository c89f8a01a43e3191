"""Adds nodes for pods that wait and removes nodes that nobody needs: the official chart, with a role of its own by Pod Identity.

Owns role, release and, where some groups are wanted more than others, their priorities; or nothing when it is switched off: node groups
then keep their size. Without it tasks beyond the present nodes wait.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
import yaml

from components import efs_driver, iam_policies
from components.cost_tags import component_tags
from components.spot_pools import LIFECYCLE_LABEL, ON_DEMAND_LIFECYCLE

NAMESPACE = "kube-system"
NAME = "cluster-autoscaler"
REPOSITORY = "https://kubernetes.github.io/autoscaler"
TIMEOUT_SECONDS = 600
PRIORITY_MAP = "cluster-autoscaler-priority-expander"
"""The only name that the priority expander reads (cluster-autoscaler, expander/priority/readme.md)."""


@dataclass(frozen=True, kw_only=True)
class ClusterAutoscalerArgs:
    """Which cluster it scales."""

    cluster_name: pulumi.Input[str]
    region: str
    enabled: bool
    chart_version: str
    """Its autoscaler must be of the cluster's Kubernetes version."""
    tags: Mapping[str, str]
    priorities: Mapping[int, Sequence[pulumi.Input[str]]] = field(default_factory=dict)
    """Auto Scaling groups by how much they are wanted, a higher number first. Empty: the group that wastes least is enlarged."""


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
            assume_role_policy=iam_policies.trust(iam_policies.POD_IDENTITY),
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
        order = [self._priorities(name, args.priorities)] if args.priorities else []
        k8s.helm.v3.Release(
            f"{name}-chart",
            name=NAME,  # or Helm would name it, and its ServiceAccount, at random
            namespace=NAMESPACE,
            chart=NAME,
            version=args.chart_version,
            repository_opts={"repo": REPOSITORY},
            values=chart_values(args.cluster_name, args.region, by_priority=bool(args.priorities)),
            timeout=TIMEOUT_SECONDS,
            # credentials are put into a pod when it starts: what is not there then never comes
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[policy, identity, *order])),
        )

    def _priorities(self, name: str, priorities: Mapping[int, Sequence[pulumi.Input[str]]]) -> pulumi.Resource:
        groups = pulumi.Output.all(**{str(number): list(names) for number, names in priorities.items()})
        return k8s.core.v1.ConfigMap(
            f"{name}-priorities",
            metadata={"name": PRIORITY_MAP, "namespace": NAMESPACE},
            data={"priorities": groups.apply(priority_patterns)},
            opts=pulumi.ResourceOptions(parent=self),
        )


def priority_patterns(groups: Mapping[str, Sequence[str]]) -> str:
    """The expander's own form: for each priority the regular expressions of names, here of exactly one group each."""
    return yaml.safe_dump({int(number): [f"^{re.escape(name)}$" for name in names] for number, names in groups.items()})


def policy_document(cluster_name: str) -> str:
    """What it may do: change only the groups that EKS tagged as this cluster's."""
    owned = {"StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster_name}": "owned"}}
    return iam_policies.document(
        {"Sid": "Look", "Effect": "Allow", "Action": list(iam_policies.AUTOSCALER_READ), "Resource": "*"},
        {"Sid": "ScaleOwnGroups", "Effect": "Allow", "Action": list(iam_policies.AUTOSCALER_WRITE), "Resource": "*", "Condition": owned},
    )


def chart_values(cluster_name: pulumi.Input[str], region: str, *, by_priority: bool = False) -> dict[str, Any]:
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
            # groups of one priority are told apart by the second
            "expander": "priority,least-waste" if by_priority else "least-waste",
            # planned with it, no pod would fit a new node, and none would be started; a node that still has it counts as not ready
            "startup-taint": efs_driver.STARTUP_TAINT,
            "skip-nodes-with-system-pods": False,  # CoreDNS must not keep an idle node alive
            # a pool without capacity is given up in time to try another, long before Airflow gives up the task (task_queued_timeout);
            # upstream's own 15m would let the fallback wait as long
            "max-node-provision-time": "5m",
        },
    }
