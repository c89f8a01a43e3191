"""A drill's record as a timeline: when the node was taken, what followed, and how each task fared. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SHOWN_TASKS = 40
"""Tasks in the picture, those that were interrupted first; the table has every one."""
TICKS = 5
GOOD, BAD = ("success",), ("failed", "up_for_retry", "upstream_failed")
"""Airflow's task states that are drawn as done and as lost; all others are drawn as neither."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a node or a pod."""

    seconds: float
    """After the drill's start."""
    what: str
    who: str


@dataclass(frozen=True, kw_only=True)
class Try:
    """One try of a task."""

    number: int
    node: str
    state: str
    begin: float
    end: float

    @property
    def outcome(self) -> str:
        """good, bad or other."""
        return "good" if self.state in GOOD else "bad" if self.state in BAD else "other"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task and its tries, in order."""

    name: str
    tries: tuple[Try, ...]

    @property
    def interrupted(self) -> bool:
        """Whether it needed more than one try."""
        return len(self.tries) > 1


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Events of one kind that follow each other without another between them: one row of the picture."""

    what: str
    who: str
    seconds: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One figure and whether it kept its limit."""

    name: str
    value: str
    limit: str
    """Empty: the figure is told, not judged."""
    held: bool


@dataclass(frozen=True, kw_only=True)
class Drill:
    """A drill as its record tells it."""

    kind: str
    stack: str
    started: str
    events: tuple[Event, ...]
    tasks: tuple[Task, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def judged(self) -> tuple[Verdict, ...]:
        """The figures that have a limit."""
        return tuple(verdict for verdict in self.verdicts if verdict.limit)

    @property
    def held(self) -> bool:
        """Whether every limit was kept; a record without any proves nothing."""
        return bool(self.judged) and all(verdict.held for verdict in self.judged)

    @property
    def rows(self) -> tuple[Moments, ...]:
        """The events of the picture."""
        runs = [list(ones) for _, ones in itertools.groupby(self.events, key=lambda event: event.what)]
        return tuple(
            Moments(what=ones[0].what, who=ones[0].who if len(ones) == 1 else "", seconds=tuple(one.seconds for one in ones))
            for ones in runs
        )

    @property
    def seconds(self) -> float:
        """From the start to the last thing recorded."""
        return max([1.0, *(event.seconds for event in self.events), *(one.end for task in self.tasks for one in task.tries)])

    @property
    def begin(self) -> float:
        """The first thing recorded: tasks may run before the drill starts, so this may be negative."""
        return min([0.0, *(event.seconds for event in self.events), *(one.begin for task in self.tasks for one in task.tries)])

    @property
    def drawn(self) -> tuple[Task, ...]:
        """The tasks of the picture."""
        return tuple(sorted(self.tasks, key=lambda task: (not task.interrupted, task.tries[0].begin, task.name))[:SHOWN_TASKS])

    def percent(self, seconds: float) -> float:
        """Where on the timeline a moment is."""
        return round((seconds - self.begin) * 100 / (self.seconds - self.begin), 3)

    @property
    def ticks(self) -> tuple[float, ...]:
        """Moments that the axis names."""
        return tuple(self.begin + (self.seconds - self.begin) * number / (TICKS - 1) for number in range(TICKS))


def clock(seconds: float) -> str:
    """`+1:05` for 65 seconds after the start."""
    whole = round(abs(seconds))
    return f"{'−' if seconds <= -0.5 else '+'}{whole // 60}:{whole % 60:02}"


def read_drill(record: Mapping[str, Any]) -> Drill:
    """A drill's record, as `make drill` writes it.

    Raises:
        ValueError: it is none; the message names what is missing or wrong.
    """
    try:
        start = moment(record["started"])
        events = [
            Event(seconds=moment(one["at"]) - start, what=str(one["what"]), who=str(one.get("who") or "")) for one in record["events"]
        ]
        last = max(
            [start, *(start + event.seconds for event in events), *(moment(one["ended"]) for one in record["tasks"] if one.get("ended"))]
        )
        verdicts = tuple(
            Verdict(
                name=str(one["name"]), value=_text(one["value"], "unknown"), limit=_text(one.get("limit"), ""), held=one["held"] is True
            )
            for one in record["verdicts"]
        )
        return Drill(
            kind=str(record["kind"]),
            stack=str(record["stack"]),
            started=datetime.fromtimestamp(start).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z"),
            events=tuple(sorted(events, key=lambda event: event.seconds)),
            tasks=_tasks(record["tasks"], start, last),
            verdicts=verdicts,
        )
    except KeyError as error:
        raise ValueError(f"this is no record of a drill: it lacks {error}") from None
    except (TypeError, AttributeError) as error:
        raise ValueError(f"this is no record of a drill: {error}") from None


def moment(value: Any) -> float:
    """A time as seconds since 1970: a number already is, text is ISO 8601.

    Raises:
        ValueError: neither.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        raise ValueError(f"{value!r} is no time: give ISO 8601 or seconds since 1970") from None


def _tasks(rows: Sequence[Mapping[str, Any]], start: float, last: float) -> tuple[Task, ...]:
    tries: dict[str, list[Try]] = {}
    for row in rows:
        if not row.get("started"):  # a try that never began has no place in time
            continue
        index = row.get("map_index", -1)
        name = f"{row['dag']} {row['task']}" + (f"[{index}]" if isinstance(index, int) and index >= 0 else "")
        begin = moment(row["started"]) - start
        end = (moment(row["ended"]) if row.get("ended") else last) - start
        one = Try(number=int(row["try"]), node=str(row.get("node") or ""), state=str(row["state"]), begin=begin, end=max(begin, end))
        tries.setdefault(name, []).append(one)
    return tuple(Task(name=name, tries=tuple(sorted(ones, key=lambda one: one.number))) for name, ones in tries.items())


def _text(value: Any, missing: str) -> str:
    if value is None:
        return missing
    return f"{value:g}" if isinstance(value, float) else str(value)
