"""Kills workers of a run of the DAG `proof_of_work`, each once and in the phase chosen for it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from embedded.cloud import Cloud
from operations.airflow_api import AirflowApi
from operations.deployment import Deployment
from tests.e2e.conftest import efs_folder, wait_for_end

PHASES = ("pending", "not-started", "running", "finishing")
LOOK_SECONDS = 0.2
SEED = 20


def processes_of(pod_uid: str) -> list[int]:
    """Processes of a pod on any embedded node, oldest first; its sandbox's too."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            # control groups write the dashes of a UID as underscores where systemd names them
            if entry.name.isdigit() and pod_uid in (entry / "cgroup").read_text().replace("_", "-"):
                found.append(int(entry.name))
        except OSError:
            continue  # it ended
    return sorted(found)


def kill_processes(pod_uid: str, *, only_the_task: bool = False) -> int:
    """SIGKILL every process of a pod, or only the one that does the task's work; how many were killed."""
    running = processes_of(pod_uid)
    python = [pid for pid in running if "python" in _command(pid) or "airflow" in _command(pid)]
    victims = python[-1:] if only_the_task else python
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(victims)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


class Killer:
    """Watches the pods of one run and its proofs; a thread, so that the phases are met."""

    def __init__(self, deployment: Deployment, run_id: str, proofs: Path, phases: dict[int, str], seed: int) -> None:
        self._api, self._namespace, self._run_id = deployment.core_api(), deployment.namespace, run_id
        self._proofs, self._phases, self._random = proofs, phases, Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.kills: dict[int, str] = {}
        """Task number to how its worker was killed."""
        self.error: Exception | None = None

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                proofs = {file.name for file in self._proofs.glob("*")}
                for number, pod in self._pods():
                    if number not in self.kills and self._is_due(number, pod, proofs) and (how := self._kill(number, pod)):
                        self.kills[number] = how
            except Exception as error:
                self.error = error

    def _pods(self) -> Iterator[tuple[int, dict[str, Any]]]:
        answer = self._api.list_namespaced_pod(self._namespace, label_selector="kubernetes_executor=True", _preload_content=False)
        for pod in json.loads(answer.data)["items"]:
            notes = pod["metadata"].get("annotations", {})
            if notes.get("run_id") == self._run_id and "map_index" in notes and not pod["metadata"].get("deletionTimestamp"):
                yield int(notes["map_index"]), pod

    def _is_due(self, number: int, pod: dict[str, Any], proofs: set[str]) -> bool:
        attempt = pod["metadata"]["annotations"]["try_number"]
        begun, done = (f"{what}-{number:04}-{attempt}" in proofs for what in ("begun", "done"))
        started = pod["status"].get("phase") == "Running"
        return {
            "pending": pod["status"].get("phase") == "Pending",
            "not-started": started and not begun,
            "running": begun and not done,
            "finishing": done,
        }[self._phases[number]]

    def _kill(self, number: int, pod: dict[str, Any]) -> str:
        uid, name = pod["metadata"]["uid"], pod["metadata"]["name"]
        phase = self._phases[number]
        how = "delete" if phase == "pending" else self._random.choice(["delete", "all processes", "task process"])
        if phase == "not-started" and how == "task process":
            how = "all processes"  # there is none yet
        if how == "delete":
            self._api.delete_namespaced_pod(name, self._namespace, grace_period_seconds=0)
            return how
        return how if kill_processes(uid, only_the_task=how == "task process") else ""


def kill_in_every_phase(airflow: AirflowApi, cloud: Cloud, deployment: Deployment, *, kills: int, seconds: float) -> None:
    """Kill so many workers in each phase, and assert that every task succeeded by work that it did, within two tries, with its logs.

    Args:
        airflow: knows the DAG `proof_of_work`.
        cloud: whose nodes run the workers.
        deployment: the stack.
        kills: of each phase.
        seconds: how long the run may take.
    """
    order = [phase for phase in PHASES for _ in range(kills)]
    total = len(order)
    Random(SEED).shuffle(order)
    run, proofs = start_work(airflow, cloud, tasks=total, seconds=2, tail=1)
    with Killer(deployment, run, proofs, dict(enumerate(order)), SEED) as killer:
        wait_for_end(airflow, "proof_of_work", run, seconds)
    met = Counter(order[number] for number in killer.kills)
    print(f"killed: {dict(met)}, {dict(Counter(killer.kills.values()))}")
    states = Counter(task["state"] for task in mapped(airflow, run))
    assert states == {"success": total}, states
    assert met == dict.fromkeys(PHASES, kills), f"a phase was missed; the killer's last trouble: {killer.error}"
    done = {(int(number), int(attempt)) for _, number, attempt in (file.name.split("-") for file in proofs.glob("done-*"))}
    for number in range(total):
        attempts = airflow.tries("proof_of_work", run, "prove", number)
        assert (number, attempts[-1]["try_number"]) in done, f"task {number} is a success without having done its work"
        assert len(attempts) <= 2, f"task {number} was killed once and tried {len(attempts)} times"
        for attempt in attempts:
            log = airflow.log("proof_of_work", run, "prove", attempt["try_number"], number)
            if (proofs / f"begun-{number:04}-{attempt['try_number']}").exists():
                assert f"try {attempt['try_number']} of task {number} begins" in log


def start_work(airflow: AirflowApi, cloud: Cloud, **parameters: object) -> tuple[str, Path]:
    """Trigger `proof_of_work`: its run, and the folder of that run's proofs."""
    airflow.wait_for_dag("proof_of_work")
    folder = f"work-{time.time_ns()}"
    run = airflow.trigger("proof_of_work", {**parameters, "folder": folder})
    return run, efs_folder(cloud, "logs") / "proofs" / folder


def begun(proofs: Path, attempt: str = "*") -> int:
    """How many tries have written their first line, of all or of one number."""
    return len(list(proofs.glob(f"begun-*-{attempt}")))


def mapped(airflow: AirflowApi, run: str) -> list[dict[str, Any]]:
    """The task instances of `proof_of_work` that do the work."""
    path = f"/dags/proof_of_work/dagRuns/{run}/taskInstances/prove/listMapped"
    found: list[dict[str, Any]] = airflow.call("GET", path, params={"limit": 100, "order_by": "map_index"})["task_instances"]
    return found
