"""B11: the order in which a stack goes to sleep and wakes, and what is refused. The end-to-end tier does it with real nodes and data."""

from __future__ import annotations

from typing import Any

import pytest

from components.cost_tags import ASLEEP
from operations import hibernation, hibernation_pods
from operations.deployment import Deployment, OperationError
from operations.hibernation_aws import Sleeper

DEPLOYMENT = Deployment(
    stack="dev",
    web_ui_url="http://web",
    admin_user="eksuser",
    admin_password="p",
    namespace="airflow",
    kubeconfig={},
    cost_tags={},
    hibernation={"allowed": True, "region": "us-west-2", "cluster": "airflow-dev", "database": "airflow-postgres"},
)
SIZES = {"ng-on-demand": (2, 2, 4), "ng-spot1": (1, 3, 4)}


class Aws:
    """Node groups and a database that change at once, and what was asked of them, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.tags: dict[str, str] = {}
        self.status = "available"
        self.nodes = {
            name: {
                "nodegroupName": name,
                "nodegroupArn": f"arn:{name}",
                "status": "ACTIVE",
                "scalingConfig": {"minSize": low, "desiredSize": wanted, "maxSize": high},
                "tags": {},
            }
            for name, (low, wanted, high) in SIZES.items()
        }

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_nodegroups"
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        return [{"nodegroups": list(self.nodes)}]

    def describe_nodegroup(self, *, clusterName: str, nodegroupName: str) -> dict[str, Any]:
        group = self.nodes[nodegroupName]
        return {"nodegroup": {**group, "scalingConfig": dict(group["scalingConfig"]), "tags": dict(group["tags"])}}

    def update_nodegroup_config(self, *, clusterName: str, nodegroupName: str, scalingConfig: dict[str, int]) -> None:
        self.said.append(f"{nodegroupName} {scalingConfig['minSize']}/{scalingConfig['desiredSize']}")
        self.nodes[nodegroupName]["scalingConfig"] = scalingConfig

    def tag_resource(self, *, resourceArn: str, tags: dict[str, str]) -> None:
        self.nodes[resourceArn.removeprefix("arn:")]["tags"] |= tags

    def untag_resource(self, *, resourceArn: str, tagKeys: list[str]) -> None:
        for key in tagKeys:
            self.nodes[resourceArn.removeprefix("arn:")]["tags"].pop(key, None)

    def describe_db_instances(self, *, DBInstanceIdentifier: str) -> dict[str, Any]:
        tags = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        found = {"DBInstanceIdentifier": DBInstanceIdentifier, "DBInstanceArn": "arn:db", "DBInstanceStatus": self.status, "TagList": tags}
        return {"DBInstances": [found]}

    def add_tags_to_resource(self, *, ResourceName: str, Tags: list[dict[str, str]]) -> None:
        self.said.append("marked")
        self.tags |= {tag["Key"]: tag["Value"] for tag in Tags}

    def remove_tags_from_resource(self, *, ResourceName: str, TagKeys: list[str]) -> None:
        self.said.append("unmarked")
        for key in TagKeys:
            self.tags.pop(key)

    def stop_db_instance(self, *, DBInstanceIdentifier: str) -> None:
        self.said.append("database stopped")
        self.status = "stopped"

    def start_db_instance(self, *, DBInstanceIdentifier: str) -> None:
        self.said.append("database started")
        self.status = "available"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    aws = Aws()
    monkeypatch.setattr(Deployment, "core_api", lambda self: None)
    monkeypatch.setattr(hibernation_pods, "close_the_door", lambda api, deployment, force, say: aws.said.append(f"door closed {force}"))
    monkeypatch.setattr(hibernation_pods, "open_the_door", lambda api: aws.said.append("door opened"))
    monkeypatch.setattr(hibernation_pods, "end_pods", lambda api, space, tasks: aws.said.append("tasks end" if tasks else "programs end"))
    monkeypatch.setattr(hibernation_pods, "running_pods", lambda api, space, tasks: [])
    monkeypatch.setattr(hibernation_pods, "scale_autoscaler", lambda deployment, awake: aws.said.append(f"autoscaler {awake}"))
    for name in ("nodes_left", "not_available", "no_answer"):
        monkeypatch.setattr(hibernation_pods, name, lambda _: None)
    return aws


def sleeper(aws: Aws, **hibernation: Any) -> Sleeper:
    allowed = {**DEPLOYMENT.hibernation, **hibernation}
    deployment = Deployment(**{**vars(DEPLOYMENT), "hibernation": allowed})
    return Sleeper(deployment=deployment, eks=aws, rds=aws, poll_seconds=0)


def test_b11_a_stack_goes_to_sleep_from_the_outside_in_and_wakes_from_the_inside_out(aws: Aws) -> None:
    hibernation.sleep(sleeper(aws), say=lambda _: None)
    assert aws.said[:5] == ["door closed False", "marked", "autoscaler False", "tasks end", "programs end"]
    assert aws.said[5:] == ["ng-on-demand 0/0", "ng-spot1 0/0", "database stopped"]
    aws.said.clear()
    hibernation.wake(sleeper(aws), say=lambda _: None)
    assert aws.said == ["database started", "ng-on-demand 2/2", "ng-spot1 1/3", "door opened", "autoscaler True", "unmarked"], (
        "Airflow fails while its database is away, and a stack is awake only when all is done"
    )
    left = {name: tuple(group["scalingConfig"].values()) for name, group in aws.nodes.items()}
    assert left == SIZES, "as Pulumi knows them"
    assert aws.tags == {}
    assert not any(group["tags"] for group in aws.nodes.values())


def test_b11_a_second_sleep_remembers_the_first_sizes_and_stops_a_database_that_aws_started(aws: Aws) -> None:
    hibernation.sleep(sleeper(aws), say=lambda _: None)
    aws.status = "available"
    aws.said.clear()
    hibernation.sleep(sleeper(aws), say=lambda _: None)
    assert [line for line in aws.said if line.startswith(("ng-", "database"))] == ["database stopped"]
    hibernation.wake(sleeper(aws), say=lambda _: None)
    assert aws.nodes["ng-spot1"]["scalingConfig"] == {"minSize": 1, "desiredSize": 3, "maxSize": 4}


def test_b11_a_wake_that_was_broken_off_is_finished_by_the_next(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    hibernation.sleep(sleeper(aws), say=lambda _: None)
    resize = Aws.update_nodegroup_config

    def broken(self: Aws, **asked: Any) -> None:
        resize(self, **asked)
        if asked["nodegroupName"] == "ng-on-demand":
            raise KeyboardInterrupt

    monkeypatch.setattr(Aws, "update_nodegroup_config", broken)
    with pytest.raises(KeyboardInterrupt):
        hibernation.wake(sleeper(aws), say=lambda _: None)
    monkeypatch.setattr(Aws, "update_nodegroup_config", resize)
    assert dict([ASLEEP]).items() <= aws.tags.items()
    hibernation.wake(sleeper(aws), say=lambda _: None)
    assert {name: tuple(group["scalingConfig"].values()) for name, group in aws.nodes.items()} == SIZES


def refused(aws: Aws, act: Any, **changes: Any) -> str:
    with pytest.raises(OperationError) as caught:
        act(sleeper(aws, **changes), say=lambda _: None)
    assert aws.said == [], "nothing was changed"
    return str(caught.value)


def test_b11_a_stack_that_may_not_sleep_is_left_alone(aws: Aws) -> None:
    assert "stack 'dev' may not sleep: set hibernation.allowed to true" in refused(aws, hibernation.sleep, allowed=False)


def test_b11_a_stack_that_is_awake_is_not_woken(aws: Aws) -> None:
    assert refused(aws, hibernation.wake) == "stack 'dev' is not asleep; there is nothing to wake"


def test_b11_what_is_being_changed_is_left_alone(aws: Aws) -> None:
    aws.nodes["ng-spot1"]["status"] = "UPDATING"
    assert refused(aws, hibernation.sleep).startswith("node group ng-spot1 is UPDATING: wait until it is ACTIVE")
    aws.nodes["ng-spot1"]["status"] = "ACTIVE"
    aws.status = "backing-up"
    assert refused(aws, hibernation.sleep).startswith("database airflow-postgres is backing-up: AWS stops only one that is available")


@pytest.mark.parametrize("text", ["", "2", "two/2", "3/2", "1/9"])
def test_b11_sizes_that_were_tampered_with_are_named(aws: Aws, text: str) -> None:
    aws.tags = dict([ASLEEP])
    aws.nodes["ng-spot1"]["tags"] = {hibernation.SIZES_TAG: text}
    assert f"node group ng-spot1 has the tag airflow-on-eks/awake-sizes={text}, which is no MIN/DESIRED" in refused(aws, hibernation.wake)


def test_b11_a_group_that_breaks_ends_the_wait(aws: Aws) -> None:
    aws.tags = dict([ASLEEP])
    aws.status = "stopped"
    aws.nodes["ng-spot1"] |= {"health": {"issues": [{"message": "no capacity"}]}, "tags": {hibernation.SIZES_TAG: "1/3"}}
    resize = aws.update_nodegroup_config
    aws.update_nodegroup_config = lambda **asked: (resize(**asked), aws.nodes["ng-spot1"].update(status="DEGRADED"))  # type: ignore[method-assign,assignment]
    with pytest.raises(OperationError, match=r"ng-spot1 is DEGRADED: no capacity\. Repair that, then run the same command again"):
        hibernation.wake(sleeper(aws), say=lambda _: None)
