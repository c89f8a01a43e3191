"""One long task with Airflow's own executor, pause and silence limits, to compare with. Parsed once that executor is configured too."""

import time
from datetime import timedelta

from airflow.sdk import dag, task


@dag(schedule=None, params={"seconds": 3600})
def airflows_own_executor() -> None:
    @task(executor="KubernetesExecutor", retries=1, retry_delay=timedelta(minutes=5))
    def wait() -> None:
        time.sleep(3600)

    wait()


airflows_own_executor()
