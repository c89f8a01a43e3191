"""What every component keeps to, so that a reader who knows one knows all: types, parents, names, documented arguments and outputs."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import iam_roles
from components.airflow_database import AirflowDatabase, AirflowDatabaseArgs, DatabaseConnection
from components.airflow_image import AirflowImage, AirflowImageArgs
from components.airflow_maintenance import AirflowMaintenance, AirflowMaintenanceArgs
from components.airflow_metrics import AirflowMetrics, AirflowMetricsArgs
from components.airflow_release import AirflowRelease, AirflowReleaseArgs
from components.cluster import Cluster, ClusterArgs
from components.cluster_autoscaler import ClusterAutoscaler, ClusterAutoscalerArgs
from components.container_insights import ContainerInsights, ContainerInsightsArgs
from components.cost_budget import CostBudget, CostBudgetArgs
from components.efs_storage import EfsStorage, EfsStorageArgs, SharedVolumes
from components.encryption_key import EncryptionKey, EncryptionKeyArgs
from components.git_dags import GitDags, GitDagsArgs
from components.log_archive import LogArchive, LogArchiveArgs
from components.network import Network, NetworkArgs, NetworkIds
from components.node_group import NodeWiring
from components.overflow_node_group import OverflowNodeGroup, OverflowNodeGroupArgs
from components.settings import CleanupSettings, Settings
from components.spot_drill import SpotDrill, SpotDrillArgs
from components.spot_node_group import SpotNodeGroup, SpotNodeGroupArgs
from tests.conftest import PROJECT, Engine, run_program
from tests.unit.test_settings import load

Built = Callable[[type[pulumi.ComponentResource]], Engine]
NAME = "probe"
IDS = NetworkIds(vpc_id="vpc-1", private=("subnet-1", "subnet-2"), public=("subnet-3", "subnet-4"), nodes=("subnet-1", "subnet-2"))
WIRING = NodeWiring(cluster_name="c", kubernetes_version="1.35", subnet_ids=["subnet-1"], security_group_ids=("sg-1",))
STORES = {"vpc_id": "vpc-1", "subnet_ids": ["subnet-1", "subnet-2"], "client_security_group_id": "sg-nodes"}
CONNECTION = DatabaseConnection(host="db", password="p")

ARGS: dict[type[pulumi.ComponentResource], Callable[[Settings, Mapping[str, str]], Any]] = {
    CostBudget: lambda settings, tags: CostBudgetArgs(monthly_usd=500, email="team@example.com", activate_cost_tags=False, tags=tags),
    EncryptionKey: lambda settings, tags: EncryptionKeyArgs(region=settings.region, tags=tags),
    Network: lambda settings, tags: NetworkArgs(**vars(settings.network), region=settings.region, kms_key_arn="arn:key", tags=tags),
    Cluster: lambda settings, tags: ClusterArgs(
        network=IDS, kms_key_arn="arn:key", cluster=settings.cluster, core=settings.core, tags=tags
    ),
    ContainerInsights: lambda settings, tags: ContainerInsightsArgs(
        cluster_name="c", plain_cluster_name="c", kubernetes_version="1.35", log_retention_days=30, kms_key_arn="arn:key", tags=tags
    ),
    OverflowNodeGroup: lambda settings, tags: OverflowNodeGroupArgs(
        wiring=WIRING, taint_effect="NO_SCHEDULE", volume_gib=50, tags=tags, **vars(settings.workers.overflow)
    ),
    SpotNodeGroup: lambda settings, tags: SpotNodeGroupArgs(
        wiring=WIRING,
        taint_effect="NO_SCHEDULE",
        volume_gib=50,
        tags=tags,
        **{key: value for key, value in vars(settings.workers.groups[0]).items() if key != "name"},
    ),
    AirflowImage: lambda settings, tags: AirflowImageArgs(**vars(settings.image), tags=tags),
    AirflowDatabase: lambda settings, tags: AirflowDatabaseArgs(**vars(settings.database), **STORES, tags=tags),
    EfsStorage: lambda settings, tags: EfsStorageArgs(**vars(settings.storage), **STORES, tags=tags),
    LogArchive: lambda settings, tags: LogArchiveArgs(
        retention_days=365, delete_with_stack=False, cluster_name="c", namespace="airflow", kms_key_arn="arn:key", tags=tags
    ),
    GitDags: lambda settings, tags: GitDagsArgs(git=settings.airflow.git_dags, namespace="airflow"),
    ClusterAutoscaler: lambda settings, tags: ClusterAutoscalerArgs(
        **vars(settings.autoscaler), cluster_name="c", region=settings.region, tags=tags
    ),
    AirflowMetrics: lambda settings, tags: AirflowMetricsArgs(namespace="airflow", release="airflow", image="exporter:v1"),
    AirflowMaintenance: lambda settings, tags: AirflowMaintenanceArgs(
        namespace="airflow",
        release="airflow",
        image="registry/airflow@sha256:0",
        cleanup=CleanupSettings(pods=True, database_retention_days=90, log_retention_days=90),
    ),
    SpotDrill: lambda settings, tags: SpotDrillArgs(enabled=True, database_identifier="db", region=settings.region, tags=tags),
    AirflowRelease: lambda settings, tags: AirflowReleaseArgs(
        **vars(settings.airflow),
        image="registry/airflow@sha256:0",
        database=CONNECTION,
        volumes=SharedVolumes(storage_class="airflow-sc", dags="airflow-dags", logs="airflow-logs"),
        deployment="c",
        web_allowed_cidrs=(),
        web_certificate_arn=None,
        web_port=8080,
        tags=tags,
    ),
}
every_component = pytest.mark.parametrize("kind", ARGS, ids=lambda kind: kind.__name__)


@pytest.fixture
def built(preview: bool, tags: dict[str, str]) -> Callable[[type[pulumi.ComponentResource]], Engine]:
    """Each component alone, with the shipped dev settings; built once for all tests."""

    def build(kind: type[pulumi.ComponentResource]) -> Engine:
        if (kind, preview) not in _built:
            args = ARGS[kind](load(), tags)
            _built[kind, preview] = run_program(lambda: kind(NAME, args), stack="dev", preview=preview)  # type: ignore[arg-type]
        return _built[kind, preview]

    return build


_built: dict[tuple[type, bool], Engine] = {}


def test_every_component_is_held_to_the_contract() -> None:
    found = set()
    for file in sorted((PROJECT / "components").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and any("ComponentResource" in ast.unparse(base) for base in node.bases):
                found.add(node.name)
    assert found == {kind.__name__ for kind in ARGS}


@every_component
def test_the_file_is_named_after_its_component(kind: type) -> None:
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__).lstrip("_")
    assert Path(inspect.getfile(kind)).stem == snake


@every_component
def test_arguments_are_one_frozen_documented_dataclass(kind: type) -> None:
    parameters = list(inspect.signature(kind.__init__).parameters)  # type: ignore[misc]
    assert parameters == ["self", "name", "args", "opts"]
    args = inspect.getmodule(kind).__dict__[f"{kind.__name__}Args"]
    assert is_dataclass(args)
    assert args.__dataclass_params__.frozen, "arguments do not change under a component"
    assert all(field.kw_only for field in fields(args)), "an argument is passed by its name"
    assert args.__doc__
    assert not args.__doc__.startswith(f"{args.__name__}("), "the docstring says what the arguments are about"
    assert kind.__doc__


@every_component
def test_every_child_belongs_to_the_component(built: Built, kind: type[pulumi.ComponentResource]) -> None:
    engine = built(kind)
    own = f"airflow-on-eks:index:{kind.__name__}"
    assert (own, NAME) in engine.resources
    for urn in engine.urns:
        chain = urn.split("::")[2].split("$")
        assert own in chain or chain[0].startswith("eks:index:"), f"{urn} has another parent"


@every_component
def test_names_of_children_begin_with_the_components(built: Built, kind: type[pulumi.ComponentResource]) -> None:
    for _, name in built(kind).resources:
        assert name == NAME or name.startswith(f"{NAME}-"), f"{name} would clash with that of a second {kind.__name__}"


@every_component
def test_every_output_that_is_declared_is_assigned_and_registered(built: Built, kind: type[pulumi.ComponentResource]) -> None:
    engine = built(kind)
    declared = set(inspect.get_annotations(kind))
    assert declared
    assert all(hasattr(engine.component, name) for name in declared)
    public = {name for name in vars(engine.component) if not name.startswith("_")} - {"urn", "id"}
    assert public <= declared, "what others may use is declared"
    assert set(engine.registered_outputs(NAME)) == declared


@every_component
def test_a22_every_taggable_child_carries_the_cost_tags(built: Built, tags: dict[str, str], kind: type[pulumi.ComponentResource]) -> None:
    for key, inputs in built(kind).resources.items():
        if "tags" in inputs and key[0].startswith(("aws:", "eks:")):
            assert tags.items() <= inputs["tags"].items(), key


def _allowed(engine: Engine, role: str) -> set[str]:
    """Actions and policies of AWS's that a role has."""
    kinds = ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "aws:iam/rolePolicy:RolePolicy")
    given = [inputs for kind in kinds for inputs in engine.of_type(kind).values() if inputs["role"] == f"{role}-1a2b3c4"]
    managed = {inputs["policyArn"].rpartition("/")[2] for inputs in given if "policyArn" in inputs}
    statements = [item for inputs in given if "policy" in inputs for item in json.loads(inputs["policy"])["Statement"]]
    return managed | {action for statement in statements for action in statement["Action"]}


@pytest.mark.parametrize("preview", [False], indirect=True, ids=["up"])
@every_component
def test_b3_every_role_is_listed_with_who_takes_it_and_a_reason_for_all_it_may(built: Built, kind: type[pulumi.ComponentResource]) -> None:
    engine = built(kind)
    roles = engine.of_type("aws:iam/role:Role")
    known = {f"{NAME}{role.suffix}": role for role in iam_roles.ROLES if role.component == kind.__name__}
    assert roles.keys() == known.keys()
    for name, role in known.items():
        [trusted] = json.loads(roles[name]["assumeRolePolicy"])["Statement"]
        assert trusted["Principal"] == {"Service": role.taken_by}, name
        assert _allowed(engine, name) == role.reasons.keys(), name
        assert all(role.reasons.values()), name


def test_b3_the_documentation_has_the_table_of_roles() -> None:
    assert iam_roles.table() in (PROJECT / "docs" / "security.md").read_text(), "put the output of `python -m components.iam_roles` there"


def _imports(file: Path) -> set[str]:
    """Top-level imports that run: not those for type checkers."""
    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "components":
            names |= {f"components.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize(
    "module",
    [
        "cost_tags",
        "database_connections",
        "iam_policies",
        "iam_roles",
        "efs_driver",
        "insights_add_on",
        "machines",
        "network_plan",
        "node_template_tags",
        "placement",
        "planned",
        "reachability",
        "settings_parser",
        "settings_rules",
        "spot_pools",
        "worker_pod",
        "airflow_config",
        "airflow_pods",
        "airflow_objects",
    ],
)
def test_pure_modules_know_nothing_of_pulumi(module: str) -> None:
    seen: set[str] = set()
    todo = [f"components.{module}"]
    while todo:
        name = todo.pop()
        seen.add(name)
        file = PROJECT / f"{name.replace('.', '/')}.py"
        todo += [found for found in _imports(file) if found.startswith("components.") and found not in seen]
        assert not any(found.split(".")[0].startswith("pulumi") for found in _imports(file)), f"{module} imports pulumi by {name}"


def test_components_read_neither_configuration_nor_the_machine() -> None:
    for kind in ARGS:
        text = Path(inspect.getfile(kind)).read_text()
        for forbidden in ("pulumi.Config", "get_stack", "os.environ", "boto3", "get_project"):
            assert forbidden not in text, f"{kind.__name__}: {forbidden} is a hidden input"
