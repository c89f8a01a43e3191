"""What a drill leaves behind: events, tries and verdicts, and the file that holds them. Pure.

The file is JSON, one object:

    kind, stack   what was rehearsed, and where
    started       when the blow fell; every time is ISO 8601 in UTC
    events        [{at, what, who}]  what: one of WHATS; who: the node, pod or task it happened to
    tasks         [{dag, task, map_index, try, node, state, started, ended, log}]  every try of every task, in order of their starts
    verdicts      [{name, value, limit, held}]  limit null: told, not judged
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

WHATS = (
    "busy",
    "rebalance recommendation",
    "notice",
    "strike",
    "cordon",
    "drain",
    "machine gone",
    "pod gone",
    "node not ready",
    "node gone",
    "node ready",
    "retry started",
    "UI unavailable",
    "UI back",
    "run finished",
)
"""Kinds of events."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened."""

    at: float
    """Seconds since 1970."""
    what: str
    who: str


@dataclass(frozen=True, kw_only=True)
class Try:
    """One try of a task instance."""

    dag: str
    task: str
    map_index: int
    number: int
    """1 for the first."""
    node: str
    """Empty when its pod was never seen on one."""
    state: str
    started: float | None
    """None: it never ran."""
    ended: float | None
    log: bool
    """Whether its log has a line that the task or its runner wrote."""

    @property
    def instance(self) -> tuple[str, str, int]:
        """The task instance it belongs to."""
        return self.dag, self.task, self.map_index

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"{self.dag}.{self.task}" + (f"[{self.map_index}]" if self.map_index >= 0 else "") + f" try {self.number}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A figure, and what it may be at most."""

    name: str
    value: float | None
    limit: float | None = None
    """None: told, not judged."""

    @property
    def held(self) -> bool:
        """Whether the value is within its limit; a value that could not be had is not."""
        return self.limit is None or (self.value is not None and self.value <= self.limit)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A finished drill."""

    kind: str
    stack: str
    started: float
    events: tuple[Event, ...]
    tries: tuple[Try, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def held(self) -> bool:
        """Whether every limit held."""
        return all(verdict.held for verdict in self.verdicts)


def moment(at: float | None) -> str | None:
    """A time as the file has it."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(text: str | None) -> float | None:
    """A time of an API or of the file, in seconds since 1970."""
    return None if not text else datetime.fromisoformat(text).timestamp()


def as_json(record: Record) -> dict[str, Any]:
    """The content of the file."""
    tasks = [
        {"dag": item.dag, "task": item.task, "map_index": item.map_index, "try": item.number, "node": item.node, "state": item.state}
        | {"started": moment(item.started), "ended": moment(item.ended), "log": item.log}
        for item in record.tries
    ]
    return {
        "kind": record.kind,
        "stack": record.stack,
        "started": moment(record.started),
        "events": [{"at": moment(event.at), "what": event.what, "who": event.who} for event in record.events],
        "tasks": tasks,
        "verdicts": [{"name": item.name, "value": item.value, "limit": item.limit, "held": item.held} for item in record.verdicts],
    }


def write(record: Record, file: Path) -> None:
    """Leave the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(as_json(record), indent=2) + "\n")


def text(record: Record) -> str:
    """The timeline and the table that end a drill; seconds count from the blow."""
    lines = [f"timeline of drill '{record.kind}' on stack '{record.stack}' (seconds from the blow at {moment(record.started)})"]
    lines += [f"  {event.at - record.started:8.1f} s  {event.what:24} {event.who}" for event in record.events]
    lines += ["", f"  {'figure':42} {'value':>9} {'limit':>7}  held"]
    for item in record.verdicts:
        value = "?" if item.value is None else f"{item.value:g}"
        limit = "-" if item.limit is None else f"{item.limit:g}"
        lines.append(f"  {item.name:42} {value:>9} {limit:>7}  {'-' if item.limit is None else 'yes' if item.held else 'NO'}")
    return "\n".join(lines)
