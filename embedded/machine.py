"""What the embedded cloud needs of the machine, and what it uses of it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded.cloud import Cloud, CloudError
from embedded.processes import running

STILL_WORKS = "the unit tests ('make unit') and the plan ('make preview') work here all the same"


def require(*, nodes: bool = True) -> None:
    """Refuse early where the embedded cloud cannot run.

    Raises:
        CloudError: one sentence with what is needed and what still works.
    """
    if not nodes:
        return
    if platform.system() != "Linux":
        raise CloudError(f"the embedded cloud needs Linux (its nodes are made of namespaces), this is {platform.system()}; {STILL_WORKS}")
    if os.geteuid() != 0:
        raise CloudError(
            f"the embedded cloud needs root (it makes network namespaces and mounts), you are user {os.geteuid()}; {STILL_WORKS}"
        )


class Stopwatch:
    """Seconds of each stage of a command, for the table at its end."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Announce a stage and time it."""
        print(f"== {title}", flush=True)
        began = time.monotonic()
        yield
        self.stages.append((title, time.monotonic() - began))

    def table(self) -> str:
        """One line a stage and the total."""
        rows = [*self.stages, ("total", sum(seconds for _, seconds in self.stages))]
        width = max(len(title) for title, _ in rows)
        return "\n".join(f"  {title:{width}}  {seconds:7.1f} s" for title, seconds in rows)


def _children() -> dict[int, list[int]]:
    tree: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        tree.setdefault(parent, []).append(int(stat.parent.name))
    return tree


def memory_bytes(cloud: Cloud) -> int:
    """Proportional memory of every process of the cloud and of what runs in its nodes (PSS: shared pages are counted once)."""
    tree = _children()
    waiting = [process.pid for process in running(cloud)]
    seen: set[int] = set()
    total = 0
    while waiting:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        waiting += tree.get(pid, [])
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total
