"""A task whose pod vanished under it is tried again at once, and that try does not count against the task's own retries.

Airflow asks listeners after it has decided what becomes of a failed task and before it stores that. Only the scheduler finds a task
whose pod is gone: what the task's own code raises is reported by its worker and never looks like this.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

VANISHED = "state attribute is running"
"""How the scheduler words it: the executor says the pod is over, the task never did (Airflow 3.3)."""
AT_ONCE = 2
"""So many interruptions are followed by a new try at once. A pod that dies again and again has another reason, perhaps too little memory,
which Kubernetes does not tell apart here: later ones wait for the task's own retry delay."""
REASON = "interrupted: its pod was gone, and the try did not count"


def forgive(task_instance: Any, error: Any, limit: int) -> bool:
    """Extend the tries of a task that was interrupted by one; True if it was. A task that names its executor is left to that.

    Args:
        task_instance: the scheduler's own record, which it stores afterwards.
        error: what the scheduler says happened.
        limit: how many interruptions of a task are forgiven. The tries of a task that was cleared count as well.
    """
    own_retries = getattr(getattr(task_instance, "task", None), "retries", None)
    if not isinstance(error, str) or VANISHED not in error or not own_retries or getattr(task_instance, "executor", None):
        return False
    forgiven = task_instance.max_tries - own_retries
    if forgiven >= limit:
        return False
    if task_instance.state == "failed":  # the last try of its own was interrupted
        if getattr(task_instance.task.dag, "fail_fast", False):
            return False  # the rest of the run was stopped already
        from sqlalchemy.orm import object_session

        task_instance.prepare_db_for_next_try(object_session(task_instance))
        task_instance.state = "up_for_retry"
    task_instance.max_tries += 1
    task_instance.retry_reason = REASON
    if forgiven < AT_ONCE:
        task_instance.retry_delay_override = 0.0
    return True


class Listener:
    """Airflow calls it by the names of its hooks."""

    @hookimpl
    def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: Any) -> None:
        """Any process may call it; only the scheduler hands over a record that can be tried again."""
        if hasattr(task_instance, "prepare_db_for_next_try"):
            forgive(task_instance, error, int(os.environ.get("AIRFLOW_ON_EKS_INTERRUPTION_RETRIES", "5")))


class InterruptionsPlugin(AirflowPlugin):
    """How Airflow finds the listener."""

    name = "interruptions"
    listeners = [Listener()]  # noqa: RUF012  Airflow reads a plain list
