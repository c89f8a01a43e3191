"""The components as a package for other languages (`plugin/`): the engine starts it, reads its schema and has it make components.

The program that asks for them is in Python, but knows them by the schema's names only, as one in any language does. SDKs that Pulumi
generates from the schema are not tried: for that each language needs a program that is not on this machine.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random
import pytest

from components.airflow_database import AirflowDatabase, AirflowDatabaseArgs, DatabaseConnection
from components.airflow_release import AirflowRelease, AirflowReleaseArgs
from components.efs_storage import EfsStorage, EfsStorageArgs, SharedVolumes
from components.node_group import NodeWiring
from components.settings import Settings
from components.spot_node_group import SpotNodeGroup, SpotNodeGroupArgs
from embedded.cloud import PROJECT
from embedded.engine import Progress, engine_environment
from operations.stack_file import parsed_file
from tests.conftest import foreign
from tests.engine.conftest import IMAGE, Engine, network

SETTINGS = Settings(**parsed_file(PROJECT, "dev")[0])
"""Sizes, versions and the rest, in which a stack of somebody else's need not differ."""
TAGS = {"Project": "theirs", "ManagedBy": "pulumi"}
VPC, NODES_GROUP = "vpc-0123456789abcdef0", "sg-0123456789abcdef0"
SUBNETS = ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1")
NODES = SpotNodeGroupArgs(
    wiring=NodeWiring(cluster_name="theirs", kubernetes_version="1.35", subnet_ids=list(SUBNETS), security_group_ids=(NODES_GROUP,)),
    instance_types=("m5.large", "m5a.large", "m4.large"),
    min_size=0,
    desired_size=1,
    max_size=6,
    taint_effect="NO_SCHEDULE",
    volume_gib=50,
    tags=TAGS,
)
FILES = EfsStorageArgs(
    vpc_id=VPC, subnet_ids=SUBNETS, client_security_group_id=NODES_GROUP, throughput_mode="elastic", backups=False, tags=TAGS
)


def database(vpc_id: pulumi.Input[str], subnet_ids: list[pulumi.Input[str]], nodes: pulumi.Input[str]) -> AirflowDatabaseArgs:
    sizes = {**vars(SETTINGS.database), "identifier": "theirs"}
    return AirflowDatabaseArgs(**sizes, vpc_id=vpc_id, subnet_ids=subnet_ids, client_security_group_id=nodes, tags=TAGS)


def release(connection: DatabaseConnection, volumes: SharedVolumes) -> AirflowReleaseArgs:
    wired = {"image": IMAGE, "database": connection, "volumes": volumes, "deployment": "theirs", "worker_fallback": "on-demand"}
    return AirflowReleaseArgs(**vars(SETTINGS.airflow), **SETTINGS.web.arguments, **wired, tags=TAGS)


class Foreign(pulumi.ComponentResource):
    """What a generated SDK declares for a component: its type, its inputs, the names of its outputs."""

    def __init__(self, kind: str, name: str, args: Any, outputs: tuple[str, ...], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"airflow-on-eks:index:{kind}", name, {**dict.fromkeys(outputs), **foreign(args)}, opts, remote=True)

    def output(self, name: str) -> Any:
        return vars(self)[name]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package where the engine looks for one, as a program; of the folder itself Python's language host would make the same."""
    program = tmp_path / "pulumi-resource-airflow-on-eks"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {PROJECT / "plugin"} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return program


def planned(engine: Engine, program: Callable[[], Any]) -> dict[tuple[str, str], str]:
    """Each resource of a plan with its inputs and parent, without the digits that the engine adds to names at random."""
    progress = Progress(preview=True)
    engine.stack("dev", program=program).preview(on_event=progress, suppress_progress=True)
    resources = [resource for resource in progress.plan if not resource.type.startswith("pulumi:providers:")]
    texts = {(it.type, it.name): json.dumps([it.inputs, it.parent], sort_keys=True) for it in resources}
    return {key: re.sub(r"-[0-9a-f]{7}(?=\")", "-RANDOM", text) for key, text in texts.items()}


def pulumi_cli(engine: Engine, *arguments: str | Path) -> str:
    environment = os.environ | engine_environment(engine.cloud)
    return subprocess.run(["pulumi", *arguments], env=environment, capture_output=True, text=True, check=True, timeout=120).stdout


def test_pulumi_reads_the_schema_that_is_checked_in_and_finds_nothing_wrong_with_it(engine: Engine, package: Path) -> None:
    kept = PROJECT / "plugin" / "schema.json"
    read, known = json.loads(pulumi_cli(engine, "package", "get-schema", package)), json.loads(kept.read_text())
    for part in ("name", "version"):
        assert read[part] == known[part]
    for part in ("resources", "types"):
        assert read[part].keys() == known[part].keys()
    pulumi_cli(engine, "schema", "check", kept)


def test_a_program_in_another_language_has_the_same_plan_as_one_in_python(engine: Engine, package: Path) -> None:
    stores = database(VPC, list(SUBNETS), NODES_GROUP)

    def cluster() -> pulumi.ResourceOptions:
        later = random.RandomPassword("kubeconfig", length=40).result  # not known in a plan, like that of a cluster yet to be made
        return pulumi.ResourceOptions(
            providers=[k8s.Provider("cluster", kubeconfig=later, enable_config_map_mutable=True, enable_secret_mutable=True)]
        )

    def in_python() -> None:
        on_cluster = cluster()
        SpotNodeGroup("tasks", NODES)
        metadata = AirflowDatabase("metadata", stores)
        shared = EfsStorage("shared", FILES, on_cluster)
        AirflowRelease("airflow", release(metadata.connection, shared.volumes), on_cluster)

    def in_another() -> None:
        on_cluster = cluster()
        Foreign("SpotNodeGroup", "tasks", NODES, ())
        connection = Foreign("AirflowDatabase", "metadata", stores, ("connection",)).output("connection")
        volumes = Foreign("EfsStorage", "shared", FILES, ("volumes",), on_cluster).output("volumes")
        told = DatabaseConnection(host=connection["host"], password=connection["password"])
        claimed = SharedVolumes(storage_class=volumes["storageClass"], dags=volumes["dags"], logs=volumes["logs"])
        Foreign("AirflowRelease", "airflow", release(told, claimed), (), on_cluster)

    expected, found = planned(engine, in_python), planned(engine, in_another)
    assert found.keys() == expected.keys()
    assert len(found) > 60
    assert [key for key in expected if found[key] != expected[key]] == []


def test_a_component_of_another_language_is_made_kept_and_removed(engine: Engine, package: Path) -> None:
    def program() -> None:
        place = network(engine)
        args = database(place["vpc_id"], place["subnet_ids"], place["client_security_group_id"])
        metadata = Foreign("AirflowDatabase", "metadata", args, ("connection", "securityGroupId"))
        pulumi.export("connection", metadata.output("connection"))
        pulumi.export("group", metadata.output("securityGroupId"))

    stack = engine.stack("dev", program=program)
    try:
        outputs = stack.up(suppress_progress=True).outputs
        (instance,) = engine.client("rds").describe_db_instances()["DBInstances"]
        assert outputs["connection"].value["host"] == instance["Endpoint"]["Address"]
        assert outputs["connection"].secret, "with the password"
        assert [group["VpcSecurityGroupId"] for group in instance["VpcSecurityGroups"]] == [outputs["group"].value]
        assert instance["AllocatedStorage"] == 20
        assert engine.run(stack.up).changes == []
    finally:
        stack.destroy(suppress_progress=True)
    assert engine.inventory() == {}
