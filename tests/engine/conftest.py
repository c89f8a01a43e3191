"""The real Pulumi engine against an embedded cloud whose nodes are simulated: no kubelet and no containers, so pods are ready at once."""

from __future__ import annotations

import functools
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pulumi_aws as aws
import pytest
from pulumi import automation as auto

from components.settings_parser import merged
from embedded import cloud as clouds
from embedded.__main__ import _services, _stop_everything
from embedded.cloud import PROJECT, Cloud
from embedded.engine import Program, Progress, open_stack, run_program
from embedded.plan import StackPlan, preview

IMAGE = "registry.example/airflow-eks-demo@sha256:" + "a" * 64
"""Simulated nodes run no image, so none is built, and no registry is asked for it."""
WITHOUT_BUILD = {"airflow-on-eks:image": {"digest": IMAGE}, "airflow-on-eks:budget": {"monthlyUsd": 5000, "email": "team@example.com"}}


@dataclass
class Engine:
    """Runs engine operations on one embedded cloud."""

    cloud: Cloud

    def stack(self, name: str, program: Program = run_program, settings: dict[str, Any] | None = None) -> auto.Stack:
        return open_stack(self.cloud, name, program=program, settings=merged(WITHOUT_BUILD, settings or {}))

    def run(self, operation: Callable[..., Any]) -> Progress:
        """Run `stack.up`, `stack.refresh` and the like; what the engine did."""
        progress = Progress()
        operation(on_event=progress, suppress_progress=True)
        return progress

    def client(self, service: str) -> Any:
        """An AWS client that talks to this cloud."""
        return boto3.client(
            service,
            endpoint_url=self.cloud.aws_endpoint,
            region_name=self.cloud.region,
            aws_access_key_id="embedded",
            aws_secret_access_key="embedded",
        )

    def state(self, stack: str) -> str:
        """The stack's state as it lies on disk."""
        return (self.cloud.home / "pulumi" / "backend" / ".pulumi" / "stacks" / "airflow-on-eks" / f"{stack}.json").read_text()

    def inventory(self) -> dict[str, list[str]]:
        """Everything that exists in the embedded AWS, by type."""
        with urllib.request.urlopen(f"{self.cloud.aws_endpoint}/embedded/inventory", timeout=30) as answer:
            return {kind: names for kind, names in json.load(answer).items() if names}


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    home = Path(PROJECT / ".embedded-engine")
    leftover = clouds.load(home)
    if leftover:  # an earlier run was killed
        _stop_everything(leftover)
    cloud = clouds.create(home, simulated=True)
    _services(cloud)
    yield Engine(cloud)
    _stop_everything(cloud)


def network(engine: Engine) -> dict[str, Any]:
    """Declare a network, for programs that need no more of a stack: a store's arguments of where it is and who may reach it."""
    vpc = aws.ec2.Vpc("theirs", cidr_block="10.9.0.0/16")
    subnets = [
        aws.ec2.Subnet(f"theirs-{letter}", vpc_id=vpc.id, cidr_block=cidr, availability_zone=f"{engine.cloud.region}{letter}")
        for letter, cidr in (("a", "10.9.0.0/24"), ("b", "10.9.1.0/24"))
    ]
    nodes = aws.ec2.SecurityGroup("theirs-nodes", vpc_id=vpc.id, description="Nodes")
    return {"vpc_id": vpc.id, "subnet_ids": [subnet.id for subnet in subnets], "client_security_group_id": nodes.id}


@dataclass(frozen=True)
class Preview:
    """What the engine said of a stack as shipped, before anything exists."""

    progress: Progress
    plan: StackPlan
    seconds: float


@pytest.fixture(scope="session")
def previewed(engine: Engine) -> Callable[[str], Preview]:
    """Let the engine plan a shipped stack, with its graph; once a stack, for all tests."""

    @functools.cache
    def previewed(name: str) -> Preview:
        progress, began = Progress(preview=True), time.monotonic()
        plan = preview(engine.cloud, engine.stack(name), progress, graph=True)
        return Preview(progress, plan, time.monotonic() - began)

    return previewed


@pytest.fixture(scope="session")
def deployed(engine: Engine) -> Progress:
    """The local stack, deployed if it is not, and all its resources with every value known; what the engine did."""
    return engine.run(engine.stack("local").up)
