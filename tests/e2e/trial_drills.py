"""A20, C3: what Spot and accidents take from a busy Airflow costs no task, no log and no core pod.

Each drill is the command that a person types. It judges itself; here its record is read too, so that a drill in which nothing happened
does not pass.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from operations.deployment import Deployment
from tests.e2e.conftest import Commands


def _drill(commands: Commands, folder: Path, kind: str, *options: str) -> tuple[dict[str, Any], list[str]]:
    """The record of a drill in which everything held, and what happened in it, in order."""
    file = folder / f"{kind}.json"
    answer = commands.operate("drill", "--kind", kind, "--output", str(file), *options)
    assert answer.returncode == 0, answer.stdout[-4000:]
    record = json.loads(file.read_text())
    assert {item["name"]: item["value"] for item in record["verdicts"] if item["limit"] == 0 and item["value"] != 0} == {}
    return record, [event["what"] for event in record["events"]]


def _figure(record: dict[str, Any], name: str) -> float:
    return next(item["value"] for item in record["verdicts"] if item["name"] == name)


def _seconds(record: dict[str, Any], begin: str, end: str) -> float:
    from operations.drill_record import seconds

    at = {event["what"]: seconds(event["at"]) for event in reversed(record["events"])}  # the first of each
    return float((at[end] or 0) - (at[begin] or 0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Path:
    return tmp_path_factory.mktemp("drills")


def test_a20_a_spot_node_with_its_two_minutes_of_notice_is_replaced_drained_and_gone(commands: Commands, folder: Path) -> None:
    record, events = _drill(commands, folder, "notice")
    # the replacement is ready, then the old node is cordoned and drained, and all that before EC2 would take it
    order = ["rebalance recommendation", "node ready", "cordon", "machine gone"]
    assert [what for what in events if what in order][: len(order)] == order
    assert "drain" in events
    assert 115 < _seconds(record, "rebalance recommendation", "notice") + 120 - 60 < 125, "at full length"
    assert _seconds(record, "rebalance recommendation", "machine gone") <= 190


def test_a20_a_spot_node_that_vanishes_without_a_word_costs_a_try_and_nothing_else(commands: Commands, folder: Path) -> None:
    record, events = _drill(commands, folder, "sudden")
    assert _figure(record, "tries killed") >= 1
    assert {"machine gone", "node not ready", "node gone", "pod gone", "retry started"} <= {*events}
    assert "cordon" not in events, "nobody was told"


def test_a20_every_spot_node_at_once(commands: Commands, folder: Path) -> None:
    """With a notice that is shortened, and so ends before replacements are there."""
    record, events = _drill(commands, folder, "all-spot", "--notice-scale", "0.2")
    assert events.count("machine gone") == 2
    assert _figure(record, "tries killed") >= 1


@pytest.mark.parametrize("kind", ["scheduler", "api-server", "database"])
def test_c3_airflows_own_parts_come_back_and_no_task_notices(commands: Commands, folder: Path, kind: str) -> None:
    record, events = _drill(commands, folder, kind)
    assert "strike" in events
    if kind != "scheduler":
        assert _figure(record, "UI unavailable at a stretch, seconds") <= 120
    assert _figure(record, "tries killed") == 0, "a task that runs outlives what started it"


def test_a_drill_is_refused_where_it_could_do_harm(commands: Commands, deployment: Deployment) -> None:
    absent = commands.operate("drill", "--kind", "notice", stack="dev")
    assert absent.returncode == 1
    assert "dev" in absent.stdout
    for options, reason in ((("--notice-scale", "0"), "above 0 and at most 1"), (("--kind", "earthquake"), "invalid choice")):
        answer = commands.operate("drill", *options)
        assert answer.returncode != 0
        assert reason in answer.stdout
