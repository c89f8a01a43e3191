"""A15, A20, B4: the template of worker pods. That a real scheduler puts them on Spot nodes only is shown by the e2e tests."""

from __future__ import annotations

from typing import Any

import pytest

from components.worker_pod import IMAGE_VARIABLES, WorkerPod, on_demand_pod, worker_image, worker_pod
from tests.unit.restricted import violations

IMAGE = "123456789012.dkr.ecr.us-west-2.amazonaws.com/airflow-eks-demo@sha256:" + "a" * 64


def pod(**changes: Any) -> dict[str, Any]:
    plan = {
        "release": "airflow",
        "config_map": "airflow-configmap",
        "dags_claim": "airflow-dags",
        "logs_claim": "airflow-logs",
        "cpu": "250m",
        "memory": "1Gi",
        "grace_period_seconds": 100,
    }
    return worker_pod(WorkerPod(**{**plan, **changes}))


def container() -> dict[str, Any]:
    [only] = pod()["spec"]["containers"]
    return only


def test_airflow_accepts_it_as_a_template() -> None:
    assert (pod()["kind"], pod()["apiVersion"]) == ("Pod", "v1")
    assert pod()["metadata"]["name"]
    assert container()["name"] == "base"
    assert "image" not in container(), "known before the image is built"
    assert ":".join(worker_image(IMAGE)[variable] for variable in IMAGE_VARIABLES) == IMAGE, "as the executor joins them"
    assert pod()["spec"]["restartPolicy"] == "Never"
    assert not {"args", "command"} & set(container())


def test_a15_it_requires_a_spot_node() -> None:
    assert pod()["spec"]["affinity"] == {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "lifecycle", "operator": "In", "values": ["Ec2Spot"]}]}]
            }
        }
    }


@pytest.mark.parametrize(("fallback", "nodes"), [("none", "OnDemand"), ("on-demand", "OnDemandOverflow")])
def test_b15_a_pinned_task_requires_an_on_demand_node_and_differs_in_nothing_else(fallback: str, nodes: str) -> None:
    plan = {"release": "airflow", "config_map": "c", "dags_claim": "d", "logs_claim": "l", "cpu": "1", "memory": "1Gi"}
    worker = WorkerPod(**plan, grace_period_seconds=100, fallback=fallback)
    spot, pinned = worker_pod(worker), on_demand_pod(worker)
    [term] = pinned["spec"].pop("affinity")["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term == {"matchExpressions": [{"key": "lifecycle", "operator": "In", "values": [nodes]}]}
    assert pinned["metadata"]["labels"].pop("airflow-on-eks/capacity") == "on-demand"
    spot["spec"].pop("affinity")
    assert pinned == spot


def test_b10_with_the_fallback_it_prefers_spot_and_still_never_runs_on_core_nodes() -> None:
    def lifecycle_in(*values: str) -> dict[str, Any]:
        return {"matchExpressions": [{"key": "lifecycle", "operator": "In", "values": list(values)}]}

    assert pod(fallback="on-demand")["spec"]["affinity"] == {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [lifecycle_in("Ec2Spot", "OnDemandOverflow")]},
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": lifecycle_in("Ec2Spot")}],
        }
    }


def test_a15_it_tolerates_the_two_taints_and_no_other() -> None:
    assert pod()["spec"]["tolerations"] == [
        {"key": "spotInstance", "operator": "Equal", "value": "true"},
        {"key": "dedicated", "operator": "Equal", "value": "airflow"},
    ]


def test_it_holds_no_secret_and_no_kubernetes_token() -> None:
    text = str(pod())
    assert "secret" not in text.lower()
    assert pod()["spec"]["automountServiceAccountToken"] is False
    assert container()["envFrom"] == [{"configMapRef": {"name": "airflow-configmap"}}]


@pytest.mark.parametrize("seconds", [30, 100])
def test_a20_the_grace_period_is_the_settings(seconds: int) -> None:
    assert pod(grace_period_seconds=seconds)["spec"]["terminationGracePeriodSeconds"] == seconds


def test_a20_only_the_supervisor_is_told_that_the_node_goes() -> None:
    assert {"name": "DUMB_INIT_SETSID", "value": "0"} in container()["env"]


def test_no_autoscaler_removes_the_node_under_a_running_task() -> None:
    assert pod()["metadata"]["annotations"] == {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
    }


def test_its_size_is_the_settings_and_its_memory_is_guaranteed() -> None:
    [only] = pod(cpu="1", memory="2Gi")["spec"]["containers"]
    assert only["resources"] == {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}


def test_a8_it_reads_dags_and_writes_logs_on_the_shared_file_system() -> None:
    claims = {volume["name"]: volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod()["spec"]["volumes"]}
    assert claims == {"tmp": None, "dags": "airflow-dags", "logs": "airflow-logs"}
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in container()["volumeMounts"]}
    assert mounts == {"/tmp": False, "/opt/airflow/shared-dags": True, "/opt/airflow/logs": False}


def test_b4_a_namespace_that_enforces_restricted_admits_it() -> None:
    assert list(violations(pod()["spec"])) == []


@pytest.mark.parametrize(
    ("where", "change"),
    [("pod", {"runAsNonRoot": False}), ("pod", {"seccompProfile": {"type": "Unconfined"}}), ("container", {"capabilities": {}})],
)
def test_b4_the_check_finds_what_is_not_admitted(where: str, change: dict[str, Any]) -> None:
    spec = pod()["spec"]
    target = spec if where == "pod" else spec["containers"][0]
    target["securityContext"] = {**target["securityContext"], **change}
    assert list(violations(spec))
