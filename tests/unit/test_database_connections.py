"""B12: no pooler, because Airflow's programs alone open connections, and only so many. What was measured is in docs/decisions/0007."""

from __future__ import annotations

import re

import pytest

from components import database_connections
from operations.stack_file import parsed_file
from tests.conftest import PROJECT

CLASSES = {"db.t4g.micro": 112, "db.t4g.small": 225, "db.m7g.large": 901}
"""As the decision has them."""


def test_b12_the_decisions_figures_are_those_of_the_functions() -> None:
    text = (PROJECT / "docs" / "decisions" / "0007-no-pgbouncer.md").read_text()
    for name, connections in CLASSES.items():
        assert database_connections.allowed(name) == connections
        assert re.search(rf"(below )?{connections} on {re.escape(name)}", " ".join(text.split()))
    for pods, connections in ((1, 90), (2, 180)):
        assert database_connections.most(dict.fromkeys(database_connections.ENGINES, pods)) == connections
    assert "90 with one replica of each, 180 with two" in text


@pytest.mark.parametrize("stack", ["dev", "local", "staging", "prod"])
def test_b12_a_shipped_stack_never_opens_more_connections_than_its_database_takes(stack: str) -> None:
    settings, _ = parsed_file(PROJECT, stack)
    limit = database_connections.allowed(settings["database"].instance_class)
    assert limit is not None
    assert database_connections.most(vars(settings["airflow"].replicas)) <= limit


@pytest.mark.parametrize(
    ("name", "connections"),
    [("db.m6i.2xlarge", 32 * 2**30 // 9531392), ("db.r6g.large", 16 * 2**30 // 9531392), ("db.x2g.large", None), ("db.m5.metal", None)],
)
def test_b12_what_a_class_takes_is_told_by_its_name_or_not_at_all(name: str, connections: int | None) -> None:
    assert database_connections.allowed(name) == connections
