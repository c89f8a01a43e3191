"""Programs of the embedded cloud: built once, however many ask for them at the same time."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from embedded import toolchain
from embedded.toolchain import GO_TOOLS, ToolError


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Packages that the stand-in for `go build` was asked for."""
    asked: list[str] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command[-1])
        time.sleep(0.05)
        Path(command[command.index("-o") + 1]).write_text("a program")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("AIRFLOW_ON_EKS_CACHE", str(tmp_path))
    monkeypatch.setattr(toolchain, "_on_path", lambda tool: None)
    monkeypatch.setattr(toolchain, "go_program", lambda: "go")
    monkeypatch.setattr(toolchain.subprocess, "run", run)
    return asked


def test_a_program_that_several_want_at_once_is_built_once(builds: list[str]) -> None:
    [tool] = [tool for tool in GO_TOOLS if tool.module == "etcd"]
    found: list[dict[str, Path]] = []
    threads = [threading.Thread(target=lambda: found.append(toolchain.go_tools("etcd"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(builds) == sorted(tool.packages.values())
    assert len(found) == 4
    assert all(program.read_text() == "a program" for programs in found for program in programs.values())


def test_a_build_that_was_killed_is_made_anew(builds: list[str], tmp_path: Path) -> None:
    toolchain.go_tools("etcd")
    [home] = (tmp_path / "tools").iterdir()
    unfinished = home.rename(home.with_name(f"{home.name}.unfinished"))
    toolchain.go_tools("etcd")
    assert home.exists()
    assert not unfinished.exists()


def test_a_build_that_fails_says_where_to_read_why(builds: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    with pytest.raises(ToolError, match=r"did not build; read .*build-etcd\.log"):
        toolchain.go_tools("etcd")
    assert builds == []
