"""A long job that survives the loss of its machine.

It is cut into short pieces, and each finished piece is recorded on the shared file system. When a Spot node is taken away, Airflow tries
the task again on another node, and the new try does only what is left. The last task reports which try did which piece.

The folder is `checkpoints` beside the task logs, the shared folder that workers may write to; `CHECKPOINT_FOLDER` names another one.
"""

import os
import re
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

from airflow.sdk import Param, dag, get_current_context, task
from checkpoint import Checkpoint

DEFAULT_FOLDER = "/opt/airflow/logs/checkpoints"


def _checkpoint() -> Checkpoint:
    run = get_current_context()["dag_run"]
    safe_name = re.sub(r"[^\w.-]", "_", f"{run.dag_id}-{run.run_id}")
    return Checkpoint(Path(os.environ.get("CHECKPOINT_FOLDER", DEFAULT_FOLDER)) / safe_name)


@dag(
    schedule=None,
    catchup=False,
    # a lost node costs a try, so more tries than nodes that may be lost; short waits, as nothing is wrong with the job itself
    default_args={"retries": 5, "retry_delay": timedelta(seconds=15)},
    params={
        "pieces": Param(30, type="integer", minimum=1, maximum=100_000, description="How many pieces the job is cut into"),
        "seconds": Param(4, type="number", minimum=0, maximum=600, description="How long a piece takes; a kill costs at most this much"),
    },
    dagrun_timeout=timedelta(hours=12),
    tags=["spot"],
    doc_md=__doc__,
)
def spot_checkpoint() -> None:
    @task
    def long_job() -> None:
        context = get_current_context()
        params, attempt = context["params"], context["ti"].try_number
        checkpoint = _checkpoint()
        print(f"try {attempt}: {len(checkpoint.done())} of {params['pieces']} pieces are done already")
        for piece in checkpoint.remaining(params["pieces"]):
            time.sleep(params["seconds"])
            checkpoint.finish(piece, {"try": attempt, "machine": os.uname().nodename})
            print(f"piece {piece} done")

    @task
    def report() -> dict[str, int]:
        checkpoint = _checkpoint()
        results = checkpoint.done()
        pieces = get_current_context()["params"]["pieces"]
        if len(results) != pieces:
            raise ValueError(f"{len(results)} of {pieces} pieces are recorded in {checkpoint.folder}")
        tries = Counter(f"try {result['try']}" for result in results.values())
        checkpoint.forget()
        return dict(tries)

    long_job() >> report()


spot_checkpoint()
