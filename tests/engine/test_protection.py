"""What a production stack must not lose by one command (row C7)."""

from __future__ import annotations

import pytest
from pulumi import automation as auto

from components.airflow_database import AirflowDatabase, AirflowDatabaseArgs
from embedded.cloud import PROJECT
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
        with pytest.raises(auto.CommandError, match=r"metadata-instance.* protected"):
            stack.destroy(suppress_progress=True)
        assert engine.inventory() == there, "not even what hangs on it has gone"
    finally:
        protected = False
        stack.up(suppress_progress=True)
        stack.destroy(suppress_progress=True)
    assert engine.inventory() == {}
