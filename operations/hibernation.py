"""Put a stack to sleep outside of working hours, and wake it: no nodes, the database stopped, everything kept.

What a sleeping stack remembers stands in AWS and Kubernetes themselves, so that anybody may wake it from anywhere: the sizes of a node
group in a tag of that group, the autoscaler's replicas in an annotation of its Deployment, and that it sleeps at all in a tag of the
database. All of it is gone once the stack is awake, and Pulumi finds everything as it left it.

Airflow's own objects are not touched: without nodes their pods wait, and with nodes they start.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from kubernetes.client import CoreV1Api

from components.cost_tags import ASLEEP
from operations import hibernation_pods as pods
from operations.deployment import Deployment, OperationError
from operations.hibernation_aws import Say, Sleeper, aws_refusals, busy_groups, sleeper_of

__all__ = ["sleep", "sleeper_of", "wake"]

# the tag ASLEEP of the database is the first that is set and the last that is taken away: a half-done command can be repeated
SIZES_TAG = "airflow-on-eks/awake-sizes"
"""On a node group: its smallest and desired size, as MIN/DESIRED."""
DAYS_STOPPED = 7
"""AWS starts a database that was stopped for so long by itself (RDS user guide, "Stopping an Amazon RDS DB instance temporarily")."""


def is_asleep(database: dict[str, Any]) -> bool:
    """Whether the stack of this database sleeps, or was on the way to it."""
    return any((tag["Key"], tag["Value"]) == ASLEEP for tag in database.get("TagList") or [])


def awake_sizes(group: dict[str, Any]) -> tuple[int, int] | None:
    """Smallest and desired size that a group had when it went to sleep; None: it is awake.

    Raises:
        OperationError: the tag was changed by somebody.
    """
    text = (group.get("tags") or {}).get(SIZES_TAG)
    if text is None:
        return None
    low, _, wanted = text.partition("/")
    if not (low.isdecimal() and wanted.isdecimal() and int(low) <= int(wanted) <= group["scalingConfig"]["maxSize"]):
        raise OperationError(
            f"node group {group['nodegroupName']} has the tag {SIZES_TAG}={text}, which is no MIN/DESIRED up to its largest size "
            f"{group['scalingConfig']['maxSize']}: set it to the sizes of the stack's settings and wake it again"
        )
    return int(low), int(wanted)


def check_allowed(deployment: Deployment) -> None:
    """Refuse a stack that nobody expects to be away.

    Raises:
        OperationError: with the way out.
    """
    if not deployment.hibernation.get("allowed"):
        raise OperationError(
            f"stack '{deployment.stack}' may not sleep: set hibernation.allowed to true and deploy that first; prod never may"
        )


def check_at_rest(groups: list[dict[str, Any]]) -> None:
    """Refuse while a node group is being changed or is broken.

    Raises:
        OperationError: naming the groups.
    """
    if busy := busy_groups(groups):
        raise OperationError(f"node group {busy}: wait until it is ACTIVE, or repair it (see 'aws eks describe-nodegroup')")


def check_database(database: dict[str, Any]) -> None:
    """Refuse while the database is being changed.

    Raises:
        OperationError: naming its state.
    """
    if (status := database["DBInstanceStatus"]) not in ("available", "stopping", "stopped"):
        raise OperationError(
            f"database {database['DBInstanceIdentifier']} is {status}: AWS stops only one that is available. Try again later"
        )


def _left(api: CoreV1Api, deployment: Deployment, tasks: bool) -> str | None:
    names = pods.running_pods(api, deployment.namespace, tasks=tasks)
    return f"{len(names)} pods still end" if names else None


def sleep(sleeper: Sleeper, *, force: bool = False, say: Say = print) -> None:
    """Put the stack to sleep; one that sleeps already is looked after: AWS may have started its database again.

    Args:
        sleeper: the stack.
        force: stop running tasks instead of refusing; each gets its grace period and is tried again when the stack is awake.
        say: takes the progress.

    Raises:
        OperationError: it must not sleep, tasks run, or AWS refused.
    """
    deployment = sleeper.deployment
    check_allowed(deployment)
    with aws_refusals():
        groups, database = sleeper.groups(), sleeper.database()
        check_at_rest(groups)
        check_database(database)
        api = deployment.core_api()
        pods.close_the_door(api, deployment, force=force, say=say)
        sleeper.rds.add_tags_to_resource(ResourceName=database["DBInstanceArn"], Tags=[dict(zip(("Key", "Value"), ASLEEP, strict=True))])
        pods.scale_autoscaler(deployment, awake=False)
        for tasks in (True, False):  # a task that ends reports to the API server
            pods.end_pods(api, deployment.namespace, tasks=tasks)
            sleeper.wait("tasks" if tasks else "Airflow's programs", partial(_left, api, deployment, tasks), say)
        for group in groups:
            scaling = group["scalingConfig"]
            if awake_sizes(group) is None:
                sizes = f"{scaling['minSize']}/{scaling['desiredSize']}"
                sleeper.eks.tag_resource(resourceArn=group["nodegroupArn"], tags={SIZES_TAG: sizes})
            if scaling["minSize"] or scaling["desiredSize"]:
                say(f"  node group {group['nodegroupName']}: from {scaling['desiredSize']} nodes to none")
                sleeper.resize(group, minimum=0, desired=0)
        if sleeper.database()["DBInstanceStatus"] == "available":
            sleeper.rds.stop_db_instance(DBInstanceIdentifier=database["DBInstanceIdentifier"])
        sleeper.wait("nodes gone", lambda: pods.nodes_left(api) or sleeper.busy(), say)
        sleeper.wait("database stopped", lambda: sleeper.database_is_not("stopped"), say)
    say(
        f"stack '{deployment.stack}' sleeps. Control plane, NAT gateways, load balancer and storage still cost what they did. "
        f"AWS starts a stopped database by itself after {DAYS_STOPPED} days: run the same command again before then."
    )


def wake(sleeper: Sleeper, *, say: Say = print) -> None:
    """Wake the stack: the database first, for everything else asks it as soon as it starts.

    Raises:
        OperationError: it is not asleep, or AWS refused.
    """
    deployment = sleeper.deployment
    with aws_refusals():
        groups, database = sleeper.groups(), sleeper.database()
        if not is_asleep(database):
            raise OperationError(f"stack '{deployment.stack}' is not asleep; there is nothing to wake")
        check_at_rest(groups)
        sizes = {group["nodegroupName"]: awake_sizes(group) for group in groups}
        sleeper.wait("database at rest", lambda: "stopping" if sleeper.database()["DBInstanceStatus"] == "stopping" else None, say)
        if sleeper.database()["DBInstanceStatus"] == "stopped":
            sleeper.rds.start_db_instance(DBInstanceIdentifier=database["DBInstanceIdentifier"])
        sleeper.wait("database", lambda: sleeper.database_is_not("available"), say)
        for group in groups:
            if (size := sizes[group["nodegroupName"]]) is not None:
                say(f"  node group {group['nodegroupName']}: {size[1]} nodes")
                sleeper.resize(group, minimum=size[0], desired=size[1])
        sleeper.wait("node groups", sleeper.busy, say)
        pods.open_the_door(deployment.core_api())
        pods.scale_autoscaler(deployment, awake=True)
        sleeper.wait("Airflow", lambda: pods.not_available(deployment), say)
        sleeper.wait("web UI", lambda: pods.no_answer(deployment), say)
        for group in groups:
            sleeper.eks.untag_resource(resourceArn=group["nodegroupArn"], tagKeys=[SIZES_TAG])
        sleeper.rds.remove_tags_from_resource(ResourceName=database["DBInstanceArn"], TagKeys=[ASLEEP[0]])
    say(f"stack '{deployment.stack}' is awake: {deployment.web_ui_url}")
