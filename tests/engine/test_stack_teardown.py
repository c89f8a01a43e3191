"""The end of the stack that the files before this one made and used (rows A23, B14)."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from embedded.cloud import PROJECT
from embedded.engine import Progress
from tests.engine.conftest import Engine


def test_b14_kubernetes_moves_one_minor_version_up_in_place(engine: Engine, deployed: Progress) -> None:
    """Control plane and node groups, with nothing replaced; the stack's last change, as no version goes back."""
    progress = engine.run(engine.stack("local", settings={"airflow-on-eks:cluster": {"kubernetesVersion": "1.36"}}).up)
    changed = {urn.rpartition("::")[2]: operation for operation, urn in progress.changes}
    assert {"airflow-eksCluster", "airflow-ng-on-demand", "ng-spot1"} <= changed.keys(), changed
    assert set(changed.values()) == {"update"}, changed
    eks = engine.client("eks")
    cluster = eks.list_clusters()["clusters"][0]
    assert eks.describe_cluster(name=cluster)["cluster"]["version"] == "1.36"
    groups = [eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"] for name in ("ng-on-demand", "ng-spot1")]
    assert {group["version"] for group in groups} == {"1.36"}


def test_destroy_leaves_nothing(engine: Engine, deployed: Progress) -> None:
    stack = engine.stack("local")
    engine.run(stack.destroy)
    assert engine.inventory() == {}
    left = engine.cloud.home / "kubernetes-leftovers.json"
    assert not left.exists() or not any(json.loads(left.read_text()).values())


def test_shipped_files_are_untouched() -> None:
    for file in Path(PROJECT).glob("Pulumi.*.yaml"):
        assert "encryptionsalt" not in yaml.safe_load(file.read_text()), f"{file.name} must stay as shipped"
