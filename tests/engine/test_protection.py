"""What a production stack must not lose by one command (row C7)."""

from __future__ import annotations

import os
import subprocess

from components.airflow_database import AirflowDatabase, AirflowDatabaseArgs
from embedded.cloud import PROJECT
from embedded.engine import engine_environment
from operations.stack_file import parsed_file
from tests.engine.conftest import Engine, network

SIZES = vars(parsed_file(PROJECT, "dev")[0]["database"])


def test_c7_a_destroy_is_refused_as_a_whole_while_the_database_is_protected(engine: Engine) -> None:
    protected = True

    def program() -> None:
        args = AirflowDatabaseArgs(**SIZES | {"deletion_protection": protected}, **network(engine), tags={"Project": "theirs"})
        AirflowDatabase("metadata", args)

    stack = engine.stack("dev", program=program)
    try:
        stack.up(suppress_progress=True)
        there = engine.inventory()
        typed = ["pulumi", "destroy", "--stack", "dev", "--yes", "--non-interactive"]  # as a person does: with its preview
        environment = os.environ | engine_environment(engine.cloud)
        answer = subprocess.run(
            typed, cwd=stack.workspace.work_dir, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert answer.returncode != 0
        assert "because it is protected" in answer.stdout + answer.stderr
        assert engine.inventory() == there, "not even what hangs on it has gone"
    finally:
        protected = False
        stack.up(suppress_progress=True)
        stack.destroy(suppress_progress=True)
    assert engine.inventory() == {}
