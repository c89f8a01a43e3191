"""A control plane with nodes that exist only as objects, for measurements: the scheduler runs only while it is asked to."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import urllib3

from components import airflow_objects, airflow_pods
from components.worker_pod import SERVICE_ACCOUNT
from embedded import cloud as clouds
from embedded import control_plane, pki, processes, simulation
from embedded.cloud import CloudError
from embedded.network import ensure_bridge, remove_bridge
from embedded.node_config import NodeSpec
from embedded.toolchain import go_tools

NAMESPACE = "airflow"
THREADS = 8
POD_SECONDS = 0.2
"""Patience for each pod; a scheduler on two busy cores takes a tenth of it."""
CONTROLLERS = "persistentvolume-binder-controller,pod-garbage-collector-controller"
UNLIMITED = {"kube-api-qps": 5000, "kube-api-burst": 5000}
PROCESSES = ("k8s-scheduler", "k8s-controller-manager", "k8s-apiserver", "k8s-etcd")
GONE_SECONDS = 300
"""Patience until the pods of lost nodes are removed: a look every 20 seconds, a quarantine of 40 (kube-controller-manager, pod GC)."""


class Cluster:
    """etcd, API server and the few controllers; a context that leaves nothing."""

    def __init__(self, home: Path) -> None:
        leftover = clouds.load(home)
        if leftover:  # an earlier run was killed
            _stop(leftover)
        self.cloud = clouds.create(home, simulated=True)
        certificate, key = control_plane.client_certificate(self.cloud, "admin")
        authority = str(pki.ca(self.cloud)[0])
        self._http = urllib3.PoolManager(
            maxsize=2 * THREADS, cert_file=str(certificate), key_file=str(key), ca_certs=authority, retries=False, timeout=120
        )

    def __enter__(self) -> Cluster:
        try:
            self._start()
        except BaseException:
            _stop(self.cloud)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _stop(self.cloud)

    def _start(self) -> None:
        cloud = self.cloud
        ensure_bridge(cloud)
        programs = go_tools("etcd", "kubernetes")
        run = control_plane.start_program
        run(cloud, "k8s-etcd", programs["etcd"], control_plane.etcd_flags(cloud))
        run(cloud, "k8s-apiserver", programs["kube-apiserver"], control_plane.apiserver_flags(cloud))
        manager = control_plane.controller_manager_flags(cloud) | {"controllers": CONTROLLERS} | UNLIMITED
        run(cloud, "k8s-controller-manager", programs["kube-controller-manager"], manager)
        self._post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        for name in (SERVICE_ACCOUNT, *(airflow_pods.account(one.name) for one in airflow_objects.CORE)):
            self._post(self._path("serviceaccounts"), {"metadata": {"name": name}})
        priority = {"metadata": {"name": airflow_pods.PRIORITY_CLASS}, "value": 1000}
        self._post("/apis/scheduling.k8s.io/v1/priorityclasses", priority)
        claims = (airflow_pods.DAGS_CLAIM, airflow_pods.LOGS_CLAIM)
        for claim in claims:
            shape = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
            volume = shape | {"capacity": {"storage": "5Gi"}, "csi": {"driver": "efs.csi.aws.com", "volumeHandle": f"fs-1::{claim}"}}
            self._post("/api/v1/persistentvolumes", {"metadata": {"name": claim}, "spec": volume})
            wanted = shape | {"volumeName": claim, "resources": {"requests": {"storage": "5Gi"}}}
            self._post(self._path("persistentvolumeclaims"), {"metadata": {"name": claim}, "spec": wanted})
        deadline = time.monotonic() + 60
        while any(self._get(self._path("persistentvolumeclaims", claim))["status"].get("phase") != "Bound" for claim in claims):
            _before(deadline, "the claims of the shared file system were not bound")

    def add_nodes(self, specs: Sequence[NodeSpec]) -> None:
        """Register nodes that are ready."""

        def node(number: int, spec: NodeSpec) -> dict[str, Any]:
            return simulation.node_object(self.cloud, spec, f"10.250.{number // 250}.{number % 250 + 1}")

        self._each(lambda one: self._post("/api/v1/nodes", node(*one)), enumerate(specs))
        for taints in {spec.taints for spec in specs}:  # the API server adds one to every new node, for a controller to take off
            self.set_taints([spec.name for spec in specs if spec.taints == taints], taints)

    def set_taints(self, names: Sequence[str], taints: Sequence[tuple[str, str, str]]) -> None:
        """Give nodes these taints and no other."""
        patch = {"spec": {"taints": [{"key": key, "value": value, "effect": effect} for key, value, effect in taints]}}
        self._each(lambda name: self._call("PATCH", f"/api/v1/nodes/{name}", patch, "application/merge-patch+json"), names)

    def remove_nodes(self, names: Sequence[str]) -> None:
        """As EKS's cloud controller does when their instances are gone."""
        self._each(lambda name: self._call("DELETE", f"/api/v1/nodes/{name}"), names)

    def add_pods(self, pods: Sequence[dict[str, Any]]) -> None:
        """Create pods."""
        self._each(lambda pod: self._post(self._path("pods"), pod), pods)

    def remove_pods(self, names: Sequence[str] = ()) -> None:
        """Delete these pods at once, or all of them."""
        if names:
            return self._each(lambda name: self._call("DELETE", f"{self._path('pods', name)}?gracePeriodSeconds=0"), names)
        self._call("DELETE", self._path("pods") + "?gracePeriodSeconds=0")
        deadline = time.monotonic() + GONE_SECONDS
        while self._some("metadata.namespace=airflow"):
            _before(deadline, "pods were not removed")

    def bindings(self) -> dict[str, str]:
        """Pod to node; an empty name for those without one."""
        return {one["metadata"]["name"]: one["spec"].get("nodeName", "") for one in self._get(self._path("pods"))["items"]}

    def start_scheduler(self) -> None:
        """Let pods be bound from now on."""
        flags = control_plane.scheduler_flags(self.cloud) | UNLIMITED
        control_plane.start_program(self.cloud, "k8s-scheduler", go_tools("kubernetes")["kube-scheduler"], flags)

    def schedule(self, patience: float) -> float:
        """Let the scheduler bind every pod, then stop it; seconds from the first binding to the last."""
        self.start_scheduler()
        deadline = time.monotonic() + 60 + patience
        while not self._some("spec.nodeName!="):
            _before(deadline, "the scheduler bound no pod")
        began = time.monotonic()
        self.wait_until_bound(patience)
        took = time.monotonic() - began
        processes.stop(self.cloud, "k8s-scheduler")
        return took

    def wait_until_bound(self, patience: float) -> None:
        """Until every pod has a node."""
        deadline = time.monotonic() + 60 + patience
        while self._some("spec.nodeName="):
            _before(deadline, "pods are without a node")

    def wait_until_gone(self, names: Sequence[str]) -> None:
        """Until none of these pods is left."""
        deadline = time.monotonic() + GONE_SECONDS
        while set(names) & self.bindings().keys():
            _before(deadline, "the pods of lost nodes were not removed", pause=2)

    def _some(self, selector: str) -> bool:
        return bool(self._get(f"{self._path('pods')}?limit=1&fieldSelector={selector}")["items"])

    def _path(self, kind: str, name: str = "") -> str:
        return f"/api/v1/namespaces/{NAMESPACE}/{kind}{f'/{name}' if name else ''}"

    def _each(self, work: Any, items: Iterable[Any]) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, items))

    def _post(self, path: str, body: dict[str, Any]) -> None:
        self._call("POST", path, body)

    def _get(self, path: str) -> dict[str, Any]:
        return json.loads(self._call("GET", path))

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None, kind: str = "application/json") -> bytes:
        content = None if body is None else json.dumps(body)
        answer = self._http.request(method, self.cloud.kubernetes_endpoint + path, body=content, headers={"Content-Type": kind})
        if answer.status >= 400:
            raise CloudError(f"the API server refused {method} {path}: {answer.data.decode(errors='replace')[:400]}")
        return answer.data


def _before(deadline: float, what: str, pause: float = 0.1) -> None:
    if time.monotonic() > deadline:
        raise CloudError(f"{what} in time; logs are in the state folder until the next run")
    time.sleep(pause)


def _stop(cloud: clouds.Cloud) -> None:
    for name in PROCESSES:
        processes.stop(cloud, name, sudden=True)
    remove_bridge(cloud)
    shutil.rmtree(cloud.home)
