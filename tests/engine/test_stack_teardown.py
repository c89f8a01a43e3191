"""The end of the stack that the files before this one made and used: its Kubernetes upgrade (row B14), and its removal (row A23).

The upgrade is AWS's part and Pulumi's: the API server and the kubelets here stay as they are (`embedded/README.md`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config
from pulumi import automation as auto

from embedded.cloud import PROJECT
from embedded.control_plane import admin_kubeconfig
from embedded.engine import Progress
from tests.engine.conftest import Engine

CLUSTER = "airflow-local"
NEWER: Mapping[str, Any] = {"airflow-on-eks:cluster": {"kubernetesVersion": "1.36"}}
MOVED = {
    "aws:eks/cluster:Cluster airflow-eksCluster",
    "aws:eks/nodeGroup:NodeGroup airflow-ng-on-demand",
    "aws:eks/nodeGroup:NodeGroup ng-spot1",
    "aws:eks/addon:Addon airflow-kube-proxy",
}
"""What another Kubernetes version changes; nothing of Airflow, its database or its files."""


def changed(progress: Progress) -> list[str]:
    """Type and name of everything that was changed, in the order in which it was done."""
    return [f"{urn.split('::')[2].rpartition('$')[2]} {urn.rpartition('::')[2]}" for _, urn in progress.changes]


def test_b14_kubernetes_moves_to_the_next_version_in_place(engine: Engine, deployed: Progress) -> None:
    stack, eks = engine.stack("local", settings=dict(NEWER)), engine.client("eks")
    nodes = client.CoreV1Api(config.new_client_from_config(str(admin_kubeconfig(engine.cloud))))
    before = {node.metadata.name for node in nodes.list_node().items}
    plan = Progress(preview=True, quiet=True)
    stack.preview(on_event=plan, suppress_progress=True)
    assert {operation for operation, _ in plan.changes} == {"update"}, plan.changes
    assert set(changed(plan)) == MOVED

    done = engine.run(stack.up)
    assert {operation for operation, _ in done.changes} == {"update"}, "no replacement"
    assert set(changed(done)) == MOVED
    assert changed(done)[0].startswith("aws:eks/cluster:Cluster"), "nodes must not be newer than their control plane"
    assert stack.outputs()["versions"].value["kubernetes"] == "1.36"

    assert eks.describe_cluster(name=CLUSTER)["cluster"]["version"] == "1.36"
    for group in eks.list_nodegroups(clusterName=CLUSTER)["nodegroups"]:
        assert eks.describe_nodegroup(clusterName=CLUSTER, nodegroupName=group)["nodegroup"]["version"] == "1.36"
    assert eks.describe_addon(clusterName=CLUSTER, addonName="kube-proxy")["addon"]["addonVersion"].startswith("v1.36.")
    after = {node.metadata.name for node in nodes.list_node().items}
    assert len(after) == len(before)
    assert not after & before, "every node was replaced by one of the new version"
    assert engine.run(stack.up).changes == []
    assert set(stack.refresh(suppress_progress=True).summary.resource_changes or {}) == {"same"}


@pytest.mark.parametrize(
    ("preflight", "words"),
    [
        ("refuse", r"1\.35: the cluster runs 1\.36, and an update does not go back"),
        ("warn", r"Unsupported Kubernetes minor version update from 1\.36 to 1\.35"),
    ],
)
def test_b14_kubernetes_does_not_go_back(engine: Engine, preflight: str, words: str) -> None:
    """By the program, and by EKS when the program is told to go on."""
    stack = engine.stack("local", settings={"airflow-on-eks:preflight": preflight})
    with pytest.raises(auto.CommandError, match=words):
        stack.up(suppress_progress=True)
    assert engine.client("eks").describe_cluster(name=CLUSTER)["cluster"]["version"] == "1.36"
    assert engine.run(engine.stack("local", settings=dict(NEWER)).up).changes == [], "the attempt changed nothing else"


def test_destroy_leaves_nothing(engine: Engine, deployed: Progress) -> None:
    stack = engine.stack("local")
    engine.run(stack.destroy)
    assert engine.inventory() == {}
    left = engine.cloud.home / "kubernetes-leftovers.json"
    assert not left.exists() or not any(json.loads(left.read_text()).values())


def test_shipped_files_are_untouched() -> None:
    for file in Path(PROJECT).glob("Pulumi.*.yaml"):
        assert "encryptionsalt" not in yaml.safe_load(file.read_text()), f"{file.name} must stay as shipped"
