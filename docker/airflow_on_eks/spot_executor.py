"""KubernetesExecutor that notices losses which Airflow 3.3's own notices after five minutes, or after half an hour.

A node that dies without a word, a task process that was killed while its supervisor lived, a pod deleted before it started: each becomes an
ordinary failed pod within seconds, and Airflow does with it what it does with any. When a look goes wrong, Airflow's own timeouts are left.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from airflow.providers.cncf.kubernetes.executors.kubernetes_executor import KubernetesExecutor
from airflow.providers.cncf.kubernetes.executors.kubernetes_executor_types import FailureDetails, KubernetesResults
from airflow.providers.cncf.kubernetes.executors.kubernetes_executor_utils import AirflowKubernetesScheduler
from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import annotations_to_key
from airflow.utils.session import NEW_SESSION, provide_session
from airflow.utils.state import TaskInstanceState

from airflow_on_eks.node_silence import LOST, NodeSilence

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LOOK_SECONDS = 3
SILENT_LOOKS = 5
"""A pod that was there and is missing in so many looks is gone: its last event would have arrived."""
TIMEOUT_SECONDS = 5
"""The scheduler's loop waits for an answer."""

BUILT_UPON = {KubernetesExecutor: ("_change_state", "start", "sync"), AirflowKubernetesScheduler: ("_build_pod_request",)}
"""What it overrides, as in Airflow 3.3 with provider cncf.kubernetes 10.25."""
if missing := [name for kind, names in BUILT_UPON.items() for name in names if not hasattr(kind, name)]:
    raise ImportError(f"this KubernetesExecutor has no {', '.join(missing)}: SpotKubernetesExecutor must be adapted to it")


class SpotKubernetesExecutor(KubernetesExecutor):
    """Named by `[core] executor`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        seconds = float(os.environ.get("AIRFLOW_ON_EKS_NODE_SILENCE_SECONDS", "30"))
        self._silence = NodeSilence(seconds, blind_seconds=seconds / 2)
        self._looked = 0.0
        self._pods: dict[Any, str] = {}
        self._missing: dict[Any, int] = {}

    def start(self) -> None:
        """Note each pod as it is made: one that is deleted before the next look would never be missed."""
        super().start()
        scheduler: Any = self.kube_scheduler
        build = scheduler._build_pod_request

        def build_and_note(job: Any) -> Any:
            pod = build(job)
            self._pods[job.key] = pod.metadata.name
            return pod

        scheduler._build_pod_request = build_and_note

    def sync(self) -> None:
        """Airflow's own work, and now and then a look at what it does not see."""
        super().sync()
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        try:
            self._look()
        except Exception:
            self.log.exception("Cannot look for lost nodes and pods; the next look is in %s s", LOOK_SECONDS)
        self._looked = time.monotonic()

    def _look(self) -> None:
        if not self.running:
            self._pods.clear()
        lost = self._silence.lost(self._renewals(), time.monotonic())
        LOST.clear()
        LOST.update(lost)  # new pods keep away from them: pod_mutation_hook of airflow_local_settings
        if not self.running:
            return
        pods = {pod["metadata"]["name"]: pod for pod in self._get(self._pods_path())["items"]}
        for name, pod in pods.items():
            key = annotations_to_key(pod["metadata"]["annotations"])
            if key not in self.running:
                continue
            self._pods[key] = name
            if pod["spec"].get("nodeName") in lost and pod["status"].get("phase") in ("Pending", "Running"):
                node = pod["spec"]["nodeName"]
                self._delete(name)
                self._failed(key, name, "NodeLost", f"node {node} no longer renews its lease")
        if not self.task_queue.empty():
            return  # a pod that could not be made is there to be made again
        for key, name in list(self._pods.items()):
            if key not in self.running or name in pods:
                self._missing.pop(key, None)
                if key not in self.running:
                    del self._pods[key]
                continue
            self._missing[key] = self._missing.get(key, 0) + 1
            if self._missing[key] >= SILENT_LOOKS:
                del self._pods[key], self._missing[key]
                self._failed(key, name, "PodDeleted", "the pod is gone, and no event has told its end")

    def _pods_path(self, name: str = "") -> str:
        pods = f"/api/v1/namespaces/{self.kube_config.kube_namespace}/pods"
        return f"{pods}/{name}" if name else f"{pods}?labelSelector=airflow-worker%3D{self.scheduler_job_id}"

    def _renewals(self) -> dict[str, str]:
        return {lease["metadata"]["name"]: lease["spec"].get("renewTime", "") for lease in self._get(LEASES)["items"]}

    def _get(self, path: str) -> Any:
        # as plain JSON: the client's objects of some hundred pods take a second to build
        answer = self.kube_client.api_client.call_api(
            path,
            "GET",
            auth_settings=["BearerToken"],
            _preload_content=False,
            _return_http_data_only=True,
            _request_timeout=TIMEOUT_SECONDS,
        )
        return json.loads(answer.data)

    def _delete(self, name: str) -> None:
        try:
            # no grace: nobody is left to end it
            self.kube_client.api_client.call_api(
                self._pods_path(name),
                "DELETE",
                body={"gracePeriodSeconds": 0},
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=TIMEOUT_SECONDS,
            )
        except Exception:
            self.log.exception("Cannot delete pod %s; what became of its task is known all the same", name)

    def _failed(self, key: Any, pod: str, reason: str, message: str) -> None:
        self.log.warning("Task %s has lost its pod %s: %s", key, pod, message)
        details: FailureDetails = {"pod_status": "Failed", "pod_reason": reason, "pod_message": message}
        self.result_queue.put(KubernetesResults(key, TaskInstanceState.FAILED, pod, self.kube_config.kube_namespace, "0", details))

    def _change_state(self, results: KubernetesResults, **kwargs: Any) -> None:
        if results.state is None and self._left_running(results):
            # the supervisor ended in peace, but leaves a retry it never asked for to the scheduler
            details: FailureDetails = {"pod_status": "Succeeded", "pod_reason": "TaskKilled"}
            results = results._replace(state=TaskInstanceState.FAILED, failure_details=details)
        super()._change_state(results, **kwargs)

    @provide_session
    def _left_running(self, results: KubernetesResults, *, session: Any = NEW_SESSION) -> bool:
        """Whether a finished pod's task counts as running, in that very pod: a task that was deferred may run in its next pod by now."""
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import select

        query = select(TaskInstance.state, TaskInstance.hostname).where(TaskInstance.filter_for_tis([results.key]))
        found = session.execute(query).one_or_none()
        return found is not None and found.state == TaskInstanceState.RUNNING and found.hostname == results.pod_name
