"""Every AWS role of a stack: who takes it, what it may do, and why. Pure; docs/security.md has it as a table, which `python -m` prints.

A role that a component makes and that is not here, or another action than these, fails a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components import iam_policies
from components.iam_policies import POD_IDENTITY, Reasons


@dataclass(frozen=True, kw_only=True)
class KnownRole:
    """One role."""

    component: str
    """Class of the component that makes it."""
    suffix: str
    """What follows the component's name in its logical name."""
    taken_by: str
    """AWS service in its trust policy."""
    user: str
    """Who has it, for people."""
    limit: str
    """On what it may do that."""
    reasons: Reasons


def _nodes(component: str, suffix: str, user: str) -> KnownRole:
    policies = iam_policies.NODE_POLICIES
    return KnownRole(component=component, suffix=suffix, taken_by="ec2.amazonaws.com", user=user, limit="as AWS keeps it", reasons=policies)


ROLES: Sequence[KnownRole] = (
    _nodes("Cluster", "-ng-on-demand-role", "core nodes"),
    _nodes("SpotNodeGroup", "-role", "Spot nodes"),
    _nodes("OverflowNodeGroup", "-role", "overflow nodes"),
    KnownRole(
        component="Cluster",
        suffix="-efs-driver-role",
        taken_by=POD_IDENTITY,
        user="EFS driver",
        limit="as AWS keeps it",
        reasons={"AmazonEFSCSIDriverPolicy": "it finds the mount target of a file system in the node's zone"},
    ),
    KnownRole(
        component="ClusterAutoscaler",
        suffix="-role",
        taken_by=POD_IDENTITY,
        user="autoscaler",
        limit="changes groups with the cluster's tag only",
        reasons={**iam_policies.AUTOSCALER_READ, **iam_policies.AUTOSCALER_WRITE},
    ),
    KnownRole(
        component="ContainerInsights",
        suffix="-role",
        taken_by=POD_IDENTITY,
        user="Container Insights",
        limit="writes into its own log groups only",
        reasons={**iam_policies.INSIGHTS_WRITE, **iam_policies.INSIGHTS_READ},
    ),
    KnownRole(
        component="LogArchive",
        suffix="-write-role",
        taken_by=POD_IDENTITY,
        user="log archive: who writes",
        limit="the archive's folder of logs, and the stack's key",
        reasons=iam_policies.LOG_WRITE,
    ),
    KnownRole(
        component="LogArchive",
        suffix="-read-role",
        taken_by=POD_IDENTITY,
        user="log archive: who reads",
        limit="the archive's folder of logs, and the stack's key",
        reasons=iam_policies.LOG_READ,
    ),
    KnownRole(
        component="AirflowDatabase",
        suffix="-monitoring",
        taken_by="monitoring.rds.amazonaws.com",
        user="database's monitoring",
        limit="as AWS keeps it",
        reasons={"AmazonRDSEnhancedMonitoringRole": "RDS writes the figures of the database's machine to CloudWatch"},
    ),
    KnownRole(
        component="Network",
        suffix="-flow-log-role",
        taken_by="vpc-flow-logs.amazonaws.com",
        user="VPC flow log",
        limit="writes into its own log group only",
        reasons={**iam_policies.FLOW_LOG_WRITE, **iam_policies.FLOW_LOG_READ},
    ),
    KnownRole(
        component="SpotDrill",
        suffix="-role",
        taken_by="fis.amazonaws.com",
        user="drills",
        limit="takes Spot instances with the stack's tags only",
        reasons={**iam_policies.DRILL_READ, **iam_policies.DRILL_WRITE},
    ),
)
"""The control plane's own role, with AmazonEKSClusterPolicy, is made by pulumi-eks."""


def table() -> str:
    """The roles as Markdown: a line for each thing that one of them may do."""
    lines = ["| role | taken by | limit | may | because |", "|---|---|---|---|---|"]
    for role in ROLES:
        lines += [f"| {role.user} | `{role.taken_by}` | {role.limit} | `{action}` | {why} |" for action, why in role.reasons.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
