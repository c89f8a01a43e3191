"""Metrics of every node and pod, and the output of all containers, in CloudWatch: AWS's own add-on with a role of its own.

Owns the log groups (made first: the agents would make some without retention that outlive the stack), the role and the add-on. Without it
CloudWatch knows the machines and the database, and nothing of pods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import iam_policies, insights_add_on
from components.cost_tags import component_tags


@dataclass(frozen=True, kw_only=True)
class ContainerInsightsArgs:
    """Which cluster is watched, and for how long what is seen is kept."""

    cluster_name: pulumi.Input[str]
    plain_cluster_name: str
    """The same before there is a cluster: log groups come first."""
    kubernetes_version: str
    log_retention_days: int
    kms_key_arn: pulumi.Input[str]
    """Key for the logs."""
    after: Sequence[pulumi.Resource] = ()
    """The Pod Identity agent, and nodes for the add-on's controller."""
    tags: Mapping[str, str]


class ContainerInsights(pulumi.ComponentResource):
    """Log groups `{name}-application`, `-dataplane`, `-host` and `-performance`, role `{name}-role`, add-on `{name}-add-on`."""

    version: pulumi.Output[str]
    """Of the add-on: EKS's default for the cluster's Kubernetes version."""

    def __init__(self, name: str, args: ContainerInsightsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:ContainerInsights", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = component_tags(args.tags, "cluster")
        groups = [
            aws.cloudwatch.LogGroup(
                f"{name}-{kind}",
                name=group,
                retention_in_days=args.log_retention_days,
                kms_key_id=args.kms_key_arn,
                tags=tags,
                opts=child,
            )
            for kind, group in insights_add_on.log_groups(args.plain_cluster_name).items()
        ]
        role = aws.iam.Role(
            f"{name}-role",
            description="Container Insights: write to its own log groups and look up what a node is",
            assume_role_policy=iam_policies.trust(iam_policies.POD_IDENTITY),
            tags=tags,
            opts=child,
        )
        document = pulumi.Output.all(*(group.arn for group in groups)).apply(iam_policies.container_insights)
        policy = aws.iam.RolePolicy(f"{name}-policy", role=role.name, policy=document, opts=child)
        self.version = aws.eks.get_addon_version_output(
            addon_name=insights_add_on.ADD_ON, kubernetes_version=args.kubernetes_version, opts=pulumi.InvokeOptions(parent=self)
        ).version
        aws.eks.Addon(
            f"{name}-add-on",
            cluster_name=args.cluster_name,
            addon_name=insights_add_on.ADD_ON,
            addon_version=self.version,
            configuration_values=self.version.apply(insights_add_on.configuration),
            pod_identity_associations=[{"service_account": insights_add_on.SERVICE_ACCOUNT, "role_arn": role.arn}],
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=tags,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[policy, *groups, *args.after])),
        )
        self.register_outputs({"version": self.version})
