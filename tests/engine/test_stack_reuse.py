"""Each example as the real engine plans it, on the cluster and database of the stack that is deployed (rows B12, B14).

They are projects of their own, with their own settings; nothing of this project's stack files is read.
"""

from __future__ import annotations

import os
import runpy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

from embedded import cloud as clouds
from embedded.__main__ import _stop_everything
from embedded.cloud import PROJECT, Cloud
from embedded.control_plane import admin_kubeconfig, start_control_plane
from embedded.engine import Progress, engine_environment
from tests.engine.conftest import IMAGE, Engine


def preview(engine: Engine, name: str, folder: Path, settings: dict[str, Any], secrets: dict[str, str]) -> Progress:
    """The plan of an example; its project file is copied, because the engine writes its salt beside it."""
    project = yaml.safe_load((PROJECT / "examples" / name / "Pulumi.yaml").read_text())
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump({**project, "main": str(PROJECT / "examples" / name)}))
    config = {"aws:region": engine.cloud.region, **{f"{name}:{key}": value for key, value in settings.items()}}
    (folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))
    environment = engine_environment(engine.cloud)
    os.environ.update(environment)
    stack = auto.create_or_select_stack(
        stack_name="dev",
        project_name=name,
        program=lambda: runpy.run_path(str(PROJECT / "examples" / name / "__main__.py")),
        opts=auto.LocalWorkspaceOptions(work_dir=str(folder), env_vars=environment),
    )
    for key, value in secrets.items():
        stack.set_config(key, auto.ConfigValue(value, secret=True))
    progress = Progress(preview=True, quiet=True)
    stack.preview(on_event=progress, suppress_progress=True)
    stack.workspace.remove_stack("dev")
    return progress


def test_spot_nodes_on_an_existing_cluster(engine: Engine, deployed: Progress, tmp_path: Path) -> None:
    cluster = engine.client("eks").describe_cluster(name="airflow-local")["cluster"]
    subnets = cluster["resourcesVpcConfig"]["subnetIds"][-3:]
    plan = preview(engine, "spot-nodes", tmp_path, {"clusterName": "airflow-local", "subnetIds": subnets}, {})
    group = next(resource for resource in plan.plan if resource.type == "aws:eks/nodeGroup:NodeGroup")
    assert (group.inputs["clusterName"], group.inputs["version"], group.inputs["subnetIds"]) == (
        "airflow-local",
        cluster["version"],
        subnets,
    )
    template = next(resource for resource in plan.plan if resource.type == "aws:ec2/launchTemplate:LaunchTemplate")
    assert template.inputs["vpcSecurityGroupIds"] == [cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]]
    assert Counter(resource.type for resource in plan.plan)["aws:iam/rolePolicyAttachment:RolePolicyAttachment"] == 3


@pytest.fixture
def their_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A Kubernetes cluster of nobody's stack, without Airflow."""
    cloud = clouds.create(tmp_path_factory.mktemp("theirs"), simulated=True)
    try:
        start_control_plane(cloud, cluster_name="theirs")
        yield cloud
    finally:
        _stop_everything(cloud)


def test_airflow_on_an_existing_cluster_and_database(engine: Engine, deployed: Progress, their_cluster: Cloud, tmp_path: Path) -> None:
    host = engine.client("rds").describe_db_instances()["DBInstances"][0]["Endpoint"]["Address"]
    secrets = {"kubeconfig": admin_kubeconfig(their_cluster).read_text(), "databasePassword": "not-the-stacks-own"}
    plan = preview(engine, "airflow-release", tmp_path, {"image": IMAGE, "databaseHost": host}, secrets)
    kinds = Counter(resource.type.rpartition(":")[2] for resource in plan.plan)
    assert kinds["Deployment"] == 4
    assert kinds["Job"] == 2
    assert not [resource for resource in plan.plan if resource.type.startswith("aws:")]
    assert "not-the-stacks-own" not in repr(plan.plan)
