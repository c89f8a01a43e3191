"""The whole program as it stands in the repository, with the stack files as shipped. What AWS makes of it is the engine tier's."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.conftest import PROJECT, Engine
from tests.unit.test_settings import PRODUCTION

Run = Callable[..., Engine]
COMPONENTS = {
    ("airflow-on-eks:index:EncryptionKey", "airflow"),
    ("airflow-on-eks:index:Network", "airflow"),
    ("airflow-on-eks:index:Cluster", "airflow"),
    ("airflow-on-eks:index:SpotNodeGroup", "ng-spot1"),
    ("airflow-on-eks:index:AirflowImage", "airflow"),
    ("airflow-on-eks:index:AirflowDatabase", "metadata"),
    ("airflow-on-eks:index:EfsStorage", "shared"),
    ("airflow-on-eks:index:ClusterAutoscaler", "autoscaler"),
    ("airflow-on-eks:index:AirflowRelease", "airflow"),
}
UNTAGGABLE = {
    "aws:ec2/route:Route",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy",
    "aws:efs/backupPolicy:BackupPolicy",
    "aws:efs/fileSystemPolicy:FileSystemPolicy",
    "aws:efs/mountTarget:MountTarget",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
}
"""Types that AWS has no tags for, and that cost nothing."""

stacks = pytest.mark.parametrize("stack", ["local", "dev"])


def in_clear(value: Any) -> Iterator[str]:
    """Every text of a recorded input that is not inside of a secret."""
    if isinstance(value, Mapping):
        if "4dabf18193072939515e22adb298388d" not in value:
            for item in value.values():
                yield from in_clear(item)
    elif isinstance(value, list):
        for item in value:
            yield from in_clear(item)
    elif isinstance(value, str):
        yield value


def test_the_program_reads_as_a_diagram() -> None:
    text = (PROJECT / "__main__.py").read_text()
    assert len(text.splitlines()) <= 60
    branches = (ast.If, ast.IfExp, ast.For, ast.While, ast.Lambda, ast.ListComp, ast.DictComp, ast.GeneratorExp, ast.FunctionDef, ast.Try)
    found = [type(node).__name__ for node in ast.walk(ast.parse(text)) if isinstance(node, branches)]
    assert found == [], "decisions belong into settings and components"


@stacks
def test_the_stack_consists_of_these_components(run_main: Run, stack: str) -> None:
    assert {key for key in run_main(stack).resources if key[0].startswith("airflow-on-eks:")} == COMPONENTS


@stacks
def test_every_resource_belongs_to_a_component(run_main: Run, stack: str) -> None:
    strays = {
        urn.split("::")[2:][-1] for urn in run_main(stack).urns if "::airflow-on-eks:index:" not in urn and "$airflow-on-eks" not in urn
    }
    assert strays <= {"kubernetes", f"airflow-{stack}", "airflow-eksCluster"}


@stacks
def test_a22_every_resource_that_can_be_tagged_carries_the_exported_cost_tags(run_main: Run, stack: str) -> None:
    engine = run_main(stack)
    tags = engine.exports["cost_tags"]
    assert set(tags) == {"Project", "Stack", "Environment", "Owner", "CostCenter", "ManagedBy"}
    assert tags["Stack"] == stack
    for (kind, name), inputs in engine.resources.items():
        if kind.startswith(("aws:", "eks:")) and kind not in UNTAGGABLE:
            assert tags.items() <= inputs.get("tags", {}).items(), f"{kind} {name}"
            assert inputs["tags"].keys() >= {"Component", "CapacityType"}, f"{kind} {name}"


def test_what_an_operator_needs_next_is_exported(run_main: Run) -> None:
    engine = run_main("dev")
    assert set(engine.exports) == {"web_ui_url", "admin_user", "admin_password", "namespace", "image", "kubeconfig", "cost_tags"}
    assert engine.exports["admin_user"] == "eksuser"
    assert engine.exports["namespace"] == "airflow"
    assert "@sha256:" in engine.exports["image"]
    assert engine.exports["web_ui_url"].startswith("http://")
    assert engine.exports["web_ui_url"].endswith(":8080")


@stacks
def test_a16_passwords_and_the_kubeconfig_are_exported_as_secrets(run_main: Run, stack: str) -> None:
    assert run_main(stack).secret_exports == {"admin_password", "kubeconfig"}


@stacks
def test_no_generated_secret_stands_in_clear_in_any_input(run_main: Run, stack: str) -> None:
    engine = run_main(stack)
    generated = [f"generated-{name}" for name in engine.of_type("random:index/randomPassword:RandomPassword")]
    assert len(generated) >= 2, "database and administrator at least"
    for key, inputs in engine.raw.items():
        for text in in_clear(inputs):
            assert not any(secret in text for secret in generated), f"{key} has a secret in clear"


@stacks
def test_kubernetes_objects_go_to_the_stacks_own_cluster(run_main: Run, stack: str) -> None:
    engine = run_main(stack)
    assert engine.resources["pulumi:providers:kubernetes", "kubernetes"]["kubeconfig"].startswith('{"kind": "Config"')
    objects = [key for key in engine.resources if key[0].startswith("kubernetes:")]
    assert objects
    for key in objects:
        assert "::kubernetes::" in engine.request(*key).provider, f"{key} would go to whatever cluster the machine knows"


@stacks
def test_a23_pods_come_after_nodes_and_add_ons_and_go_before_them(run_main: Run, stack: str) -> None:
    engine = run_main(stack)
    dependencies = engine.request("airflow-on-eks:index:AirflowRelease", "airflow").dependencies
    for needed in ("airflow-ng-on-demand", "ng-spot1", "airflow-efs-driver", "airflow-pod-identity"):
        assert any(urn.endswith(f"::{needed}") for urn in dependencies), needed


@stacks
def test_database_files_and_image_do_not_wait_for_the_control_plane(run_main: Run, stack: str) -> None:
    engine = run_main(stack)
    for key in (
        ("aws:rds/instance:Instance", "metadata-instance"),
        ("aws:efs/fileSystem:FileSystem", "shared-files"),
        ("aws:ecr/repository:Repository", "airflow-repository"),
    ):
        dependencies = engine.request(*key).dependencies
        assert not any("eks" in urn.split("::")[2].split("$")[-1].lower() for urn in dependencies), f"{key} adds to the longest chain"


def test_a6_the_autoscaler_runs_unless_it_is_switched_off(run_main: Run) -> None:
    assert len(run_main("dev").of_type("kubernetes:helm.sh/v3:Release")) == 1
    assert len(run_main("local").of_type("kubernetes:helm.sh/v3:Release")) == 0


def test_b2_a_stack_in_an_existing_network_creates_none(run_main: Run) -> None:
    subnets = ["subnet-0a1b2c3d", "subnet-1a1b2c3d"]
    engine = run_main("dev", {"network.vpcId": "vpc-0a1b2c3d", "network.privateSubnetIds": subnets})
    assert not engine.of_type("aws:ec2/vpc:Vpc")
    assert not engine.of_type("aws:ec2/subnet:Subnet")
    assert engine.resources["eks:index:Cluster", "airflow"]["privateSubnetIds"] == subnets
    assert len(engine.of_type("aws:efs/mountTarget:MountTarget")) == 2


def test_b13_an_image_by_digest_is_not_built(run_main: Run) -> None:
    digest = f"123456789012.dkr.ecr.us-west-2.amazonaws.com/airflow@sha256:{'b' * 64}"
    engine = run_main("dev", {"image.digest": digest})
    assert engine.exports["image"] == digest
    assert not engine.of_type("docker-build:index:Image")


def test_wrong_settings_register_nothing(run_main: Run) -> None:
    with pytest.raises(Exception, match="setting\\(s\\) of stack dev to correct; nothing was deployed") as caught:
        run_main("dev", {"airflow.taskRetries": 0, "web.prot": 1})
    assert "web.prot" in str(caught.value)


def test_a_guarded_production_stack_deploys(run_main: Run) -> None:
    changes = {key: value for key, value in PRODUCTION.items() if key != "environment"}
    engine = run_main("dev", changes)
    assert len(engine.of_type("aws:ec2/natGateway:NatGateway")) == 3
    assert engine.resources["aws:rds/instance:Instance", "metadata-instance"]["multiAz"] is True
