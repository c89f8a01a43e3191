"""The examples, each alone under mocks: a component works outside of this project's stack and reads none of its settings."""

from __future__ import annotations

import json
import runpy
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT, Engine, run_program

EXAMPLES = sorted(path.parent.name for path in (PROJECT / "examples").glob("*/Pulumi.yaml"))
GIVEN: dict[str, dict[str, Any]] = {
    "spot-nodes": {"clusterName": "theirs", "subnetIds": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-database-clients"]},
    "airflow-release": {"kubeconfig": "{}", "image": "r/airflow@sha256:0", "databaseHost": "db", "databasePassword": "their-password"},
}


def run(name: str, monkeypatch: pytest.MonkeyPatch) -> Engine:
    from tests import conftest

    cluster = {"name": "theirs", "version": "1.35", "vpcConfig": {"clusterSecurityGroupId": "sg-eks"}}
    monkeypatch.setitem(conftest.LOOKUPS, "aws:eks/getCluster:getCluster", lambda args: cluster)
    config = {f"{name}:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in GIVEN[name].items()}
    monkeypatch.setattr("tests.conftest.NAMESPACE", name)
    return run_program(lambda: runpy.run_path(str(PROJECT / "examples" / name / "__main__.py")), stack="dev", preview=False, config=config)


def test_there_is_an_example_for_each_of_these() -> None:
    assert set(EXAMPLES) == set(GIVEN)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_declares_every_setting_that_has_no_default(name: str) -> None:
    folder = PROJECT / "examples" / name
    declared = yaml.safe_load((folder / "Pulumi.yaml").read_text())
    assert declared["name"] == name
    required = {key for key, entry in declared["config"].items() if "default" not in entry}
    assert required <= set(GIVEN[name])
    readme = (folder / "README.md").read_text()
    assert [key for key in required if key not in readme] == [], "the README sets each"


def test_spot_nodes_join_a_cluster_that_somebody_else_made(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = run("spot-nodes", monkeypatch)
    group = engine.of_type("aws:eks/nodeGroup:NodeGroup")["airflow-tasks"]
    assert (group["clusterName"], group["capacityType"], group["subnetIds"]) == ("theirs", "SPOT", ["subnet-1", "subnet-2"])
    (template,) = engine.of_type("aws:ec2/launchTemplate:LaunchTemplate").values()
    assert template["vpcSecurityGroupIds"] == ["sg-eks", "sg-database-clients"]
    assert not [kind for kind, _ in engine.children if kind.startswith(("kubernetes:", "eks:"))], "and touches nothing of it"


def test_airflow_runs_against_a_database_that_somebody_else_made(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = run("airflow-release", monkeypatch)
    secret = engine.of_type("kubernetes:core/v1:Secret")["airflow-secrets"]["stringData"]
    assert secret["sql-alchemy-conn"].startswith("postgresql+psycopg2://airflow:their-password@db:5432/airflow?sslmode=verify-full")
    assert "their-password" not in str(engine.raw["kubernetes:core/v1:ConfigMap", "airflow-config"])
    assert {kind for kind, _ in engine.children if kind.startswith("aws:")} == set(), "and makes nothing in AWS"
    assert "admin_password" in engine.secret_exports
