"""The sample DAGs and the image they are baked into, read as text; the checkpoint's promises, kept by killing a real process.

That Airflow itself imports and runs the DAGs is proved by the end-to-end tests: Airflow is not a dependency of this project.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[2]
DAGS = PROJECT / "dags"
DOCKER = PROJECT / "docker"
IGNORED = (DAGS / ".airflowignore").read_text().split()
DAG_FILES = sorted(file for file in DAGS.glob("*.py") if file.name not in IGNORED)
ALLOWED_IMPORTS = ("airflow.sdk", "airflow.providers.standard", "checkpoint")
"""Beside the standard library: Airflow's interface for DAG authors, which does not change between minor versions."""


def _checkpoint_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("checkpoint", DAGS / "checkpoint.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Checkpoint = _checkpoint_module().Checkpoint


def _keywords(file: Path) -> dict[str, ast.expr]:
    """Arguments of the DAG's declaration, whichever of the two forms it has."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("DAG", "dag"):
            return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    raise AssertionError(f"{file.name} declares no DAG")


@pytest.mark.parametrize("file", DAG_FILES, ids=lambda file: file.stem)
class TestEveryDag:
    def test_retries_because_a_lost_spot_node_costs_a_try(self, file: Path) -> None:
        defaults = ast.unparse(_keywords(file)["default_args"])
        found = re.search(r"'retries': (\d+)", defaults)
        assert found, f"{file.name} must state retries in default_args"
        assert int(found[1]) >= 2
        assert "'retry_delay'" in defaults, "Airflow's own delay of five minutes is too long after a lost node"

    def test_ends_at_some_time(self, file: Path) -> None:
        assert "dagrun_timeout" in _keywords(file), "a run that cannot finish must not hold nodes for ever"

    def test_runs_only_when_asked(self, file: Path) -> None:
        assert ast.unparse(_keywords(file)["schedule"]) == "None"

    def test_imports_only_the_stable_interface(self, file: Path) -> None:
        modules = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                modules.add(node.module or "")
            elif isinstance(node, ast.Import):
                modules |= {name.name for name in node.names}
        foreign = {
            name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith(ALLOWED_IMPORTS)
        }
        assert not foreign

    def test_explains_itself_in_the_web_ui(self, file: Path) -> None:
        assert ast.get_docstring(ast.parse(file.read_text()))
        assert ast.unparse(_keywords(file)["doc_md"]) == "__doc__"


def test_every_dag_is_named_after_its_file() -> None:
    for file in DAG_FILES:
        names = {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}
        named = _keywords(file).get("dag_id")
        assert file.stem in names or (isinstance(named, ast.Constant) and named.value == file.stem)


def test_the_classic_example_keeps_its_tasks() -> None:
    text = (DAGS / "example_bash_operator.py").read_text()
    for task in ("run_this_last", "run_after_loop", "also_run_this", "this_will_skip", "runme_{number}"):
        assert f'task_id="{task}"' in text or f'task_id=f"{task}"' in text


def test_the_dag_processor_skips_the_helper_module() -> None:
    assert IGNORED == ["checkpoint.py"]


def test_finished_pieces_are_not_done_again(tmp_path: Path) -> None:
    first = Checkpoint(tmp_path / "job")
    for piece in (0, 1, 4):
        first.finish(piece, {"try": 1})
    second = Checkpoint(tmp_path / "job")
    assert list(second.remaining(6)) == [2, 3, 5]
    assert second.done()[4] == {"try": 1}


def test_a_half_written_piece_counts_as_not_done(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    (tmp_path / ".000002.abc").write_text('{"tr')
    assert list(checkpoint.remaining(3)) == [0, 1, 2]


def test_forgetting_removes_the_folder(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "job")
    checkpoint.finish(0, None)
    checkpoint.forget()
    checkpoint.forget()
    assert not (tmp_path / "job").exists()


def test_a_killed_job_resumes_where_it_was(tmp_path: Path) -> None:
    program = f"""
import sys; sys.path.insert(0, {str(DAGS)!r})
from pathlib import Path
from checkpoint import Checkpoint
job = Checkpoint(Path({str(tmp_path)!r}))
for piece in job.remaining(1_000_000):
    job.finish(piece, "first")
"""
    with subprocess.Popen([sys.executable, "-B", "-c", program]) as child:
        deadline = time.monotonic() + 20
        while len(list(tmp_path.glob("*.json"))) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        child.kill()
    recorded = Checkpoint(tmp_path).done()
    assert len(recorded) >= 20
    assert sorted(recorded) == list(range(len(recorded))), "the record has no hole and no damaged piece"
    assert next(Checkpoint(tmp_path).remaining(1_000_000)) == len(recorded)


def _pins(file: Path) -> dict[str, str]:
    lines = [line.strip() for line in file.read_text().splitlines()]
    return dict(line.split("==", 1) for line in lines if line and not line.startswith("#"))


def test_the_image_does_not_run_as_root() -> None:
    users = re.findall(r"^USER (\S+)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    assert users[-1] == "50000", "a number, or Kubernetes cannot check runAsNonRoot"


def test_every_requirement_is_pinned_and_the_local_base_has_it() -> None:
    wanted, local = _pins(DOCKER / "requirements.txt"), _pins(PROJECT / "embedded/airflow_base/requirements.txt")
    assert wanted
    assert {name: local.get(name) for name in wanted} == wanted, "then building on the local base asks no package index"


def test_the_image_starts_from_the_airflow_version_of_the_local_base() -> None:
    base = re.search(r"^ARG BASE_IMAGE=apache/airflow:([\d.]+)-python", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    assert base
    assert base[1] == _pins(PROJECT / "embedded/airflow_base/requirements.txt")["apache-airflow"]


def test_the_builder_sees_only_what_the_image_is_made_of() -> None:
    rules = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert [rule for rule in rules if rule.startswith("!")] == ["!dags", "!docker"]
