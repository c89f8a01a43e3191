"""What rehearses the loss of Spot nodes on AWS: experiment templates of the Fault Injection Service that `make drill` starts.

Owns the role that FIS takes, an alarm that stops an experiment, and a template for each kind of drill; or nothing when it is switched off.
Templates cost nothing until one is started. They hit running Spot instances with this stack's tags only, and the role can hit no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import iam_policies
from components.cost_tags import PROJECT, component_tags

NOTICE_SECONDS = 120
"""From the interruption notice to the interruption (EC2 user guide, Spot Instance interruption notices)."""
REBALANCE_SECONDS = 60
"""How much earlier the rebalance recommendation of drill `notice` comes: time for a replacement to join."""
INTERRUPT = "aws:ec2:send-spot-instance-interruptions"
TERMINATE = "aws:ec2:terminate-instances"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of drill, as FIS takes it."""

    description: str
    action: str
    selection: str
    """COUNT(n), PERCENT(n) or ALL of the stack's Spot instances."""
    seconds: int | None = None
    """From the start to the interruption; the notice comes two minutes before that. None: at once, without notice."""


KINDS = {
    "notice": Kind(
        description="One Spot node: rebalance recommendation, two-minute notice, interruption",
        action=INTERRUPT,
        selection="COUNT(1)",
        seconds=NOTICE_SECONDS + REBALANCE_SECONDS,
    ),
    "sudden": Kind(description="One Spot node terminated without notice", action=TERMINATE, selection="COUNT(1)"),
    "all-spot": Kind(
        description="Every Spot node at once, with the two-minute notice", action=INTERRUPT, selection="ALL", seconds=NOTICE_SECONDS
    ),
}


@dataclass(frozen=True, kw_only=True)
class SpotDrillArgs:
    """Whose Spot nodes are rehearsed with."""

    enabled: bool
    database_identifier: pulumi.Input[str]
    """An experiment is stopped, or not started, while nobody is connected to this RDS instance: Airflow is down already."""
    region: str
    tags: Mapping[str, str]


class SpotDrill(pulumi.ComponentResource):
    """Experiment templates `{name}-notice`, `{name}-sudden` and `{name}-all-spot`."""

    enabled: pulumi.Output[bool]
    """Whether there are templates."""

    def __init__(self, name: str, args: SpotDrillArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:SpotDrill", name, None, opts)
        if args.enabled:
            self._install(name, args)
        self.enabled = pulumi.Output.from_input(args.enabled)
        self.register_outputs({"enabled": self.enabled})

    def _install(self, name: str, args: SpotDrillArgs) -> None:
        child = pulumi.ResourceOptions(parent=self)
        tags = component_tags(args.tags, "workers")
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(parent=self)).account_id
        role = aws.iam.Role(
            f"{name}-role",
            description="Fault Injection Service: interrupt this stack's own Spot instances",
            assume_role_policy=account.apply(lambda known: trust(known, args.region)),
            tags=tags,
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=account.apply(lambda known: policy_document(known, args.region, targeted(args.tags))),
            opts=child,
        )
        alarm = aws.cloudwatch.MetricAlarm(
            f"{name}-alarm",
            alarm_description="Nobody is connected to Airflow's database: no time for a drill",
            namespace="AWS/RDS",
            metric_name="DatabaseConnections",
            dimensions={"DBInstanceIdentifier": args.database_identifier},
            statistic="Maximum",
            comparison_operator="LessThanThreshold",
            threshold=1,
            period=60,
            evaluation_periods=2,
            tags=tags,
            opts=child,
        )
        for kind, wanted in KINDS.items():
            aws.fis.ExperimentTemplate(
                f"{name}-{kind}",
                description=wanted.description,
                role_arn=role.arn,
                stop_conditions=[{"source": "aws:cloudwatch:alarm", "value": alarm.arn}],
                actions=[action(wanted)],
                targets=[target(wanted, targeted(args.tags))],
                tags={**tags, "Name": f"{name}-{kind}", "Drill": kind},
                # FIS checks the role when a template is made
                opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[policy])),
            )


def targeted(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags that only this stack's Spot instances have, from their launch template."""
    return {"Project": PROJECT, "Stack": tags["Stack"], "CapacityType": "spot"}


def action(kind: Kind) -> dict[str, Any]:
    """What an experiment does."""
    spot = kind.action == INTERRUPT
    parameters = [{"key": "durationBeforeInterruption", "value": duration(kind.seconds)}] if kind.seconds else []
    return {
        "name": "take",
        "action_id": kind.action,
        "parameters": parameters,
        "target": {"key": "SpotInstances" if spot else "Instances", "value": "nodes"},
    }


def target(kind: Kind, tags: Mapping[str, str]) -> dict[str, Any]:
    """What an experiment may hit."""
    return {
        "name": "nodes",
        "resource_type": "aws:ec2:spot-instance" if kind.action == INTERRUPT else "aws:ec2:instance",
        "selection_mode": kind.selection,
        "resource_tags": [{"key": key, "value": value} for key, value in tags.items()],
        "filters": [{"path": "State.Name", "values": ["running"]}],
    }


def duration(seconds: int) -> str:
    """Seconds as FIS takes them: ISO 8601."""
    return f"PT{seconds // 60}M" + (f"{seconds % 60}S" if seconds % 60 else "")


def trust(account: str, region: str) -> str:
    """FIS takes the role for experiments of this account only (FIS user guide, confused deputy prevention)."""
    own = {
        "StringEquals": {"aws:SourceAccount": account},
        "ArnLike": {"aws:SourceArn": f"arn:aws:fis:{region}:{account}:experiment/*"},
    }
    return iam_policies.document(
        {"Effect": "Allow", "Principal": {"Service": "fis.amazonaws.com"}, "Action": ["sts:AssumeRole"], "Condition": own}
    )


def policy_document(account: str, region: str, tags: Mapping[str, str]) -> str:
    """Find instances; take those with the stack's tags."""
    own = {"StringEquals": {f"aws:ResourceTag/{key}": value for key, value in tags.items()}}
    return iam_policies.document(
        {"Sid": "Look", "Effect": "Allow", "Action": list(iam_policies.DRILL_READ), "Resource": "*"},
        {
            "Sid": "TakeOwnSpotInstances",
            "Effect": "Allow",
            "Action": list(iam_policies.DRILL_WRITE),
            "Resource": f"arn:aws:ec2:{region}:{account}:instance/*",
            "Condition": own,
        },
    )
