"""Run a DAG and prove where its tasks ran."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from operations.airflow_api import FINISHED, AirflowApi
from operations.deployment import Deployment
from operations.placement import SPOT, WorkerWatch


def run_dag(
    deployment: Deployment, dag_id: str, *, conf: dict[str, Any] | None = None, seconds: float = 600, say: Callable[[str], None] = print
) -> bool:
    """Trigger a DAG, follow it, and print each worker pod with its node and lifecycle.

    Returns:
        True only if the run succeeded and every worker pod was seen on a Spot node, and there was at least one.
    """
    api = AirflowApi(deployment)
    api.wait_for_dag(dag_id)
    started = time.monotonic()
    with WorkerWatch(deployment) as watch:
        run_id = api.trigger(dag_id, conf)
        say(f"{dag_id}: run {run_id} started at {deployment.web_ui_url}/dags/{dag_id}/runs/{run_id}")
        state, last = "", ""
        while state not in FINISHED and time.monotonic() - started < seconds:
            time.sleep(1)
            state = api.run_state(dag_id, run_id)
            states = sorted(str(task["state"]) for task in api.task_instances(dag_id, run_id))
            line = ", ".join(f"{states.count(name)} {name}" for name in dict.fromkeys(states))
            if line != last:
                say(f"  {time.monotonic() - started:5.1f} s  {state:8} tasks: {line}")
                last = line
    pods = sorted(watch.pods.values(), key=lambda pod: pod.name)
    for pod in pods:
        say(f"  {pod.lifecycle or 'no node':9} {pod.node or '-':44} {pod.name}")
    strays = [pod for pod in pods if pod.lifecycle != SPOT]
    took = time.monotonic() - started
    say(f"{dag_id}: {state or 'unknown'} after {took:.1f} s; {len(pods)} worker pods, {len(pods) - len(strays)} on Spot nodes")
    if state not in FINISHED:
        say(f"The run was not finished after {seconds:.0f} s; look at {deployment.web_ui_url} and at 'make nodes'.")
    return state == "success" and bool(pods) and not strays
