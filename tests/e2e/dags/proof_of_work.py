"""Tasks that leave a proof of each try in the shared folder: what a task says it did can be counted."""

import os
import time
from pathlib import Path

from airflow.sdk import Param, dag, get_current_context, task

PROOFS = Path("/opt/airflow/logs/proofs")


@dag(
    schedule=None,
    params={
        "tasks": Param(2, type="integer"),
        "seconds": Param(3, type="number", description="How long the work takes"),
        "tail": Param(0, type="number", description="How long a try lives on after its work is done"),
        "folder": Param("none", type="string"),
        "held": Param(False, type="boolean", description="Work on until the folder has a file named 'released'"),
    },
)
def proof_of_work() -> None:
    """As a user writes it: nothing is said of retries, delay or time limit."""

    @task
    def numbers() -> list[int]:
        return list(range(get_current_context()["params"]["tasks"]))

    @task
    def prove(number: int) -> None:
        context = get_current_context()
        params, attempt = context["params"], context["ti"].try_number
        folder = PROOFS / params["folder"]
        folder.mkdir(parents=True, exist_ok=True)
        print(f"try {attempt} of task {number} begins", flush=True)
        for what, seconds in (("begun", params["seconds"]), ("done", params["tail"])):
            # fails if there is one: the same try never runs twice
            with (folder / f"{what}-{number:04}-{attempt}").open("x") as proof:
                proof.write(os.uname().nodename)
            time.sleep(seconds)
            while params["held"] and not (folder / "released").exists():
                time.sleep(1)

    prove.expand(number=numbers())


proof_of_work()
