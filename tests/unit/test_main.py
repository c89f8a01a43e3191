"""The whole program as it stands in the repository, with the stack files as shipped. What AWS makes of it is the engine tier's."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT, Engine

Run = Callable[..., Engine]
COMPONENTS = {
    ("airflow-on-eks:index:CostBudget", "airflow-budget"),
    ("airflow-on-eks:index:EncryptionKey", "airflow"),
    ("airflow-on-eks:index:Network", "airflow"),
    ("airflow-on-eks:index:Cluster", "airflow"),
    ("airflow-on-eks:index:SpotNodeGroup", "ng-spot1"),
    ("airflow-on-eks:index:AirflowImage", "airflow"),
    ("airflow-on-eks:index:AirflowDatabase", "metadata"),
    ("airflow-on-eks:index:EfsStorage", "shared"),
    ("airflow-on-eks:index:ClusterAutoscaler", "autoscaler"),
    ("airflow-on-eks:index:SpotDrill", "drill"),
    ("airflow-on-eks:index:AirflowRelease", "airflow"),
}
CLEANUP = {("airflow-on-eks:index:AirflowMaintenance", "airflow-maintenance")}
OPTIONAL = {"staging": CLEANUP, "prod": CLEANUP}
UNTAGGABLE = {
    "aws:autoscaling/tag:Tag",
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

stacks = pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])


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
    found = {key for key in run_main(stack).resources if key[0].startswith("airflow-on-eks:")}
    assert found == COMPONENTS | OPTIONAL.get(stack, set())


def test_a_preview_knows_of_every_resource_that_the_update_makes(run_main: Run) -> None:
    assert run_main("prod", preview=True).resources.keys() == run_main("prod").resources.keys()


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
    outputs = {
        "web_ui_url",
        "admin_user",
        "admin_password",
        "namespace",
        "image",
        "versions",
        "kubeconfig",
        "cost_tags",
        "cost_per_day",
    }
    outputs |= {"cost_table", "hibernation", "placement"}
    assert set(engine.exports) == outputs
    assert engine.exports["versions"] == {"airflow": "3.3.2", "kubernetes": "1.35"}
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


def test_every_shipped_stack_is_tested() -> None:
    [shipped] = [mark.args[1] for mark in [stacks.mark]]
    assert set(shipped) == {file.name.split(".")[1] for file in PROJECT.glob("Pulumi.*.yaml")}


def test_b1_the_shipped_production_stack_has_its_guards(run_main: Run) -> None:
    engine = run_main("prod")
    assert len(engine.of_type("aws:ec2/natGateway:NatGateway")) == 3
    database = engine.resources["aws:rds/instance:Instance", "metadata-instance"]
    assert (database["multiAz"], database["deletionProtection"], database["skipFinalSnapshot"]) == (True, True, False)
    assert database["backupRetentionPeriod"] >= 7
    assert {log["retentionInDays"] for log in engine.of_type("aws:cloudwatch/logGroup:LogGroup").values()} == {365}
    assert engine.of_type("aws:efs/backupPolicy:BackupPolicy")["shared-backups"]["backupPolicy"] == {"status": "ENABLED"}
    assert engine.resources["eks:index:Cluster", "airflow"]["endpointPublicAccess"] is False
    for program in ("scheduler", "api-server"):
        assert engine.resources["kubernetes:apps/v1:Deployment", f"airflow-{program}"]["spec"]["replicas"] == 2
    assert engine.exports["web_ui_url"].startswith("https://")


@pytest.mark.parametrize(("stack", "gateways"), [("dev", 1), ("staging", 1), ("prod", 3)])
def test_a_gateway_for_each_zone_is_paid_in_production_only(run_main: Run, stack: str, gateways: int) -> None:
    assert len(run_main(stack).of_type("aws:ec2/natGateway:NatGateway")) == gateways


def test_stacks_of_one_account_do_not_collide() -> None:
    """Names that are unique in an account and region, and ranges that a peering would need apart."""
    unique = [("cluster", "name", "airflow"), ("database", "identifier", "airflow-postgres"), ("image", "repository", "airflow-eks-demo")]
    unique += [("network", "vpcCidr", "10.0.0.0/16")]
    for section, key, default in unique:
        values = []
        for stack in ("dev", "staging", "prod"):
            config = yaml.safe_load((PROJECT / f"Pulumi.{stack}.yaml").read_text())["config"]
            values.append(config.get(f"airflow-on-eks:{section}", {}).get(key, default))
        assert len(set(values)) == 3, f"{section}.{key}: {values}"
