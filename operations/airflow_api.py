"""The few calls of Airflow's REST API (v2) that operators and tests need."""

from __future__ import annotations

import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from operations.deployment import Deployment, OperationError

TIMEOUT_SECONDS = 30
FINISHED = ("success", "failed")
REPEATED = Retry(total=3, backoff_factor=1, allowed_methods=["GET"])
"""A connection may lead through a node that is taken away, and then nothing comes back: what only asks is asked again, on another one."""


def patient_session(retries: Retry) -> requests.Session:
    """A session with the stack's own web UI, which asks again as `retries` says."""
    session = requests.Session()
    session.trust_env = False  # the address is the stack's own, never a proxy's business
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    return session


class AirflowApi:
    """A logged-in session with the API server of one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._url = deployment.web_ui_url.rstrip("/")
        self._session = patient_session(REPEATED)
        answer = self._session.post(
            f"{self._url}/auth/token",
            json={"username": deployment.admin_user, "password": deployment.admin_password},
            timeout=TIMEOUT_SECONDS,
        )
        if answer.status_code not in (200, 201):
            raise OperationError(f"{self._url} refused the log-in of {deployment.admin_user}: {answer.status_code} {answer.text[:200]}")
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    @property
    def headers(self) -> dict[str, str]:
        """The log-in, for somebody who makes requests of their own."""
        return {"Authorization": str(self._session.headers["Authorization"])}

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """One request below `/api/v2`; its JSON answer.

        Raises:
            OperationError: Airflow answered with an error.
        """
        answer = self._session.request(method, f"{self._url}/api/v2{path}", timeout=TIMEOUT_SECONDS, **arguments)
        if not answer.ok:
            raise OperationError(f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None

    def dag_ids(self) -> set[str]:
        """Ids of the DAGs Airflow has parsed."""
        return {dag["dag_id"] for dag in self.call("GET", "/dags", params={"limit": 100})["dags"]}

    def wait_for_dag(self, dag_id: str, seconds: float = 120) -> None:
        """Wait until the DAG processor has parsed a DAG.

        Raises:
            OperationError: it did not appear in time; the message has Airflow's import errors.
        """
        deadline = time.monotonic() + seconds
        while dag_id not in self.dag_ids():
            if time.monotonic() > deadline:
                errors = self.call("GET", "/importErrors")["import_errors"]
                details = "; ".join(f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors)
                raise OperationError(f"DAG '{dag_id}' did not appear within {seconds:.0f} s. Import errors: {details or 'none'}")
            time.sleep(2)

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Unpause a DAG and start a run; the run's id."""
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
        return self.call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf or {}})["dag_run_id"]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of a run: queued, running, success or failed."""
        return self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"]

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Task instances of a run, mapped ones one by one."""
        return self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 1000})["task_instances"]

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[dict[str, Any]]:
        """Every try of a task instance, first to last, the present one too."""
        index = f"/{map_index}" if map_index >= 0 else ""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}{index}/tries"
        return sorted(self.call("GET", path)["task_instances"], key=lambda attempt: attempt["try_number"])

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Log of one try of a task instance, as the web UI shows it."""
        lines = self.log_lines(dag_id, run_id, task_id, try_number, map_index)
        return "\n".join(str(line.get("event", line)) if isinstance(line, dict) else str(line) for line in lines)

    def log_lines(self, dag_id: str, run_id: str, task_id: str, try_number: int, map_index: int) -> list[Any]:
        """Lines of a log as Airflow gives them; what a task wrote has a timestamp, what Airflow says about the log has none."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        return self.call("GET", path, params={"map_index": map_index, "full_content": "true"})["content"]
