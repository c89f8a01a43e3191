"""A20: which nodes count as lost. That the executor acts on it is shown by the e2e tests."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docker"))
    made = import_module("airflow_on_eks.node_silence").NodeSilence(30, blind_seconds=15)
    for name in ("airflow_on_eks.node_silence", "airflow_on_eks"):
        del sys.modules[name]
    return made


def watch(silence: Any, seconds: int, renewals: Any, start: int = 0) -> list[tuple[int, set[str]]]:
    """Looks every five seconds; the first time that each answer is given."""
    answers: list[tuple[int, set[str]]] = []
    for now in range(start, start + seconds, 5):
        answer = silence.lost(renewals(now), float(now))
        if answer and (not answers or answers[-1][1] != answer):
            answers.append((now, answer))
    return answers


def beat(now: int, period: int = 10) -> str:
    return f"renewal {now // period}"


def test_nodes_that_renew_are_there(silence: Any) -> None:
    assert watch(silence, 300, lambda now: {"a": beat(now), "b": beat(now)}) == []


def test_a_node_that_misses_three_renewals_is_lost(silence: Any) -> None:
    assert watch(silence, 300, lambda now: {"a": beat(now), "b": beat(min(now, 100))}) == [(130, {"b"})]


def test_a_node_whose_lease_was_deleted_is_lost_at_once(silence: Any) -> None:
    assert watch(silence, 300, lambda now: {"a": beat(now)} | ({"b": beat(now)} if now < 100 else {})) == [(100, {"b"})]


def test_a_node_that_comes_back_is_there_again(silence: Any) -> None:
    watch(silence, 200, lambda now: {"a": beat(now), "b": beat(min(now, 100))})
    assert silence.lost({"a": "x", "b": "y"}, 200.0) == set()


def test_when_all_are_silent_none_is_lost(silence: Any) -> None:
    assert watch(silence, 300, lambda now: {"a": beat(0), "b": beat(0)}) == []


def test_after_a_pause_of_the_observer_the_count_begins_again(silence: Any) -> None:
    watch(silence, 100, lambda now: {"a": beat(now), "b": beat(now)})
    assert watch(silence, 30, lambda now: {"a": beat(now), "b": "old"}, start=400) == []
    assert silence.lost({"a": "new"}, 900.0) == set(), "what was deleted meanwhile cannot be told from what never was"
