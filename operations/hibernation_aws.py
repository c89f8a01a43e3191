"""The AWS side of putting a stack to sleep: its node groups and its database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from operations.deployment import Deployment, OperationError

PATIENCE_SECONDS = 3600
"""AWS says that stopping and starting a database takes minutes, and may take longer."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Sleeper:
    """What of a stack goes to sleep, and how to reach it."""

    deployment: Deployment
    eks: Any
    rds: Any
    poll_seconds: float = 3

    @property
    def _cluster(self) -> str:
        return str(self.deployment.hibernation["cluster"])

    def groups(self) -> list[dict[str, Any]]:
        """The node groups of the cluster, by name."""
        names = sorted(
            name for page in self.eks.get_paginator("list_nodegroups").paginate(clusterName=self._cluster) for name in page["nodegroups"]
        )
        return [self.eks.describe_nodegroup(clusterName=self._cluster, nodegroupName=name)["nodegroup"] for name in names]

    def database(self) -> dict[str, Any]:
        """The database as RDS describes it."""
        found: dict[str, Any] = self.rds.describe_db_instances(DBInstanceIdentifier=self.deployment.hibernation["database"])["DBInstances"][
            0
        ]
        return found

    def database_is_not(self, wanted: str) -> str | None:
        """The state of the database, if it is not that one."""
        status = str(self.database()["DBInstanceStatus"])
        return None if status == wanted else status

    def busy(self) -> str | None:
        """Which node groups are being changed.

        Raises:
            OperationError: one is broken, so that waiting is pointless.
        """
        groups = self.groups()
        broken = [group for group in groups if group["status"] in ("DEGRADED", "UPDATE_FAILED", "CREATE_FAILED")]
        issues = "; ".join(str(issue.get("message")) for group in broken for issue in group.get("health", {}).get("issues", []))
        if broken:
            raise OperationError(f"node group {busy_groups(broken)}: {issues}. Repair that, then run the same command again")
        return busy_groups(groups)

    def resize(self, group: dict[str, Any], *, minimum: int, desired: int) -> None:
        """Give a node group other sizes; its largest one stays."""
        sizes = {"minSize": minimum, "desiredSize": desired, "maxSize": group["scalingConfig"]["maxSize"]}
        self.eks.update_nodegroup_config(clusterName=self._cluster, nodegroupName=group["nodegroupName"], scalingConfig=sizes)

    def wait(self, what: str, done: Callable[[], str | None], say: Say) -> None:
        """Wait until `done` answers None; until then it says what is missing, which is shown when it changes."""
        deadline, last = time.monotonic() + PATIENCE_SECONDS, ""
        while missing := done():
            if missing != last:
                say(f"  {what}: {missing}")
                last = missing
            if time.monotonic() > deadline:
                raise OperationError(
                    f"{what}: {missing}, after {PATIENCE_SECONDS // 60} minutes; run the same command again to go on waiting"
                )
            time.sleep(self.poll_seconds)
        say(f"  {what}: done")


def busy_groups(groups: list[dict[str, Any]]) -> str | None:
    """The groups that are not at rest, with their states; None: all are."""
    return ", ".join(f"{group['nodegroupName']} is {group['status']}" for group in groups if group["status"] != "ACTIVE") or None


def sleeper_of(deployment: Deployment) -> Sleeper:
    """The stack's sleeper, with clients of whatever AWS the environment names.

    Raises:
        OperationError: the stack was deployed by a program that could not sleep yet.
    """
    if missing := [key for key in ("region", "cluster", "database") if not deployment.hibernation.get(key)]:
        raise OperationError(f"stack '{deployment.stack}' has no output hibernation with {', '.join(missing)}: deploy it again first")
    region = deployment.hibernation["region"]
    return Sleeper(deployment=deployment, eks=boto3.client("eks", region_name=region), rds=boto3.client("rds", region_name=region))


@contextmanager
def aws_refusals() -> Iterator[None]:
    """Turn what AWS refuses into a sentence."""
    try:
        yield
    except ClientError as error:
        raise OperationError(f"AWS refused {error.operation_name}: {error.response['Error'].get('Message')}") from error
    except BotoCoreError as error:
        raise OperationError(f"AWS could not be asked: {error}") from error
