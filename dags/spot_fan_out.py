"""Many small tasks side by side: what Spot nodes are cheapest for. Each lost node costs no more than the few seconds of its tasks."""

import os
import time
from collections import Counter
from datetime import timedelta

from airflow.sdk import Param, dag, get_current_context, task


@dag(
    schedule=None,
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30)},
    params={
        "tasks": Param(
            10, type="integer", minimum=1, maximum=1000, description="How many tasks run; pools and limits decide how many at once"
        ),
        "seconds": Param(10, type="number", minimum=0, maximum=3600, description="How long each one takes"),
    },
    dagrun_timeout=timedelta(hours=6),
    tags=["spot"],
    doc_md=__doc__,
)
def spot_fan_out() -> None:
    @task
    def numbers() -> list[int]:
        return list(range(get_current_context()["params"]["tasks"]))

    @task
    def work(number: int) -> str:
        time.sleep(get_current_context()["params"]["seconds"])
        return os.uname().nodename

    @task
    def report(machines: list[str]) -> dict[str, int]:
        return dict(Counter(machines[:]))  # a slice asks for all at once, iterating for one after the other

    report(work.expand(number=numbers()))


spot_fan_out()
