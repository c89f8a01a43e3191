"""Start, find and stop the embedded cloud's own processes, and never any other.

A process is remembered by its id *and* its start time: after a reboot, or when the kernel reuses an id, the record no longer matches
and nothing is stopped.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded.cloud import Cloud, CloudError

STOP_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Process:
    """A program the cloud started."""

    name: str
    pid: int
    started: str
    """Start time in clock ticks since boot, as /proc gives it: with the id it names one process for good."""


def start_time(pid: int) -> str | None:
    """Start time of a live process; None when there is none (a zombie counts as none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _record(cloud: Cloud, name: str) -> Path:
    return cloud.path("pids") / f"{name}.json"


def find(cloud: Cloud, name: str) -> Process | None:
    """The running process of that name, if it is still the one that was started."""
    file = _record(cloud, name)
    if not file.exists():
        return None
    process = Process(**json.loads(file.read_text()))
    return process if start_time(process.pid) == process.started else None


def running(cloud: Cloud) -> list[Process]:
    """Every process of this cloud that runs."""
    names = sorted(file.stem for file in cloud.path("pids").glob("*.json"))
    return [process for name in names if (process := find(cloud, name))]


def log_file(cloud: Cloud, name: str) -> Path:
    """Where the output of a process goes."""
    return cloud.path("logs") / f"{name}.log"


def tail(cloud: Cloud, name: str, lines: int = 15) -> str:
    """Last lines of a process's output, for error messages."""
    file = log_file(cloud, name)
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) if file.exists() else "(no output)"


def start(
    cloud: Cloud,
    name: str,
    command: Sequence[str | Path],
    *,
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
    ready: Callable[[], bool] | None = None,
    seconds: float = 60,
) -> Process:
    """Start a program in its own session and wait until it is ready; a running one of that name is kept.

    Raises:
        CloudError: it ended early or was not ready in time; the message has its last lines.
    """
    running_already = find(cloud, name)
    if running_already:
        return running_already
    with log_file(cloud, name).open("ab") as out:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=os.environ | (environment or {}),
            cwd=cwd,
            start_new_session=True,
        )
    process = Process(name=name, pid=child.pid, started=start_time(child.pid) or "0")
    _record(cloud, name).write_text(json.dumps({"name": name, "pid": process.pid, "started": process.started}))
    deadline = time.monotonic() + seconds
    while ready and not ready():
        if child.poll() is not None:
            raise CloudError(f"{name} ended with code {child.returncode}; its last lines:\n{tail(cloud, name)}")
        if time.monotonic() > deadline:
            raise CloudError(f"{name} was not ready within {seconds:.0f} s; its last lines:\n{tail(cloud, name)}")
        time.sleep(0.1)
    child.returncode = 0  # it outlives this process on purpose: keep Python from warning about that
    return process


def stop(cloud: Cloud, name: str, *, sudden: bool = False) -> None:
    """End a process of this cloud, with SIGTERM first unless `sudden`; forget its record."""
    process = find(cloud, name)
    if process:
        for sign, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            if sudden and sign is signal.SIGTERM:
                continue
            os.kill(process.pid, sign)
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline and start_time(process.pid) == process.started:
                _reap(process.pid)
                time.sleep(0.05)
            if start_time(process.pid) != process.started:
                break
        else:
            raise CloudError(f"{name} (process {process.pid}) does not end")
    _record(cloud, name).unlink(missing_ok=True)


def _reap(pid: int) -> None:
    # the starter may be this very process, and then the ended one stays a zombie until it is waited for
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
