"""The whole stack once for all tests of this tier: real engine, Kubernetes, PostgreSQL, Airflow, in a state folder of its own.

It goes through the commands a person types, in their order, and always stops what it started.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.stream import stream

from embedded import cloud as clouds
from embedded.cloud import PROJECT, Cloud
from operations.airflow_api import FINISHED, AirflowApi
from operations.deployment import Deployment, find

HOME = PROJECT / ".embedded-e2e"
STACK = "local"
DAGS = Path(__file__).parent / "dags"
NEXT_IMAGE_DAG = PROJECT / "dags" / "only_in_the_next_image.py"
"""Written by the test of an upgrade, and part of the image from then on."""


class Commands:
    """Runs the project's commands as a person would, against this tier's own cloud."""

    def __init__(self) -> None:
        self.environment = os.environ | {"AIRFLOW_EMBEDDED_HOME": str(HOME), "PYTHONUNBUFFERED": "1"}

    def embedded(self, *arguments: str, seconds: int = 1500) -> subprocess.CompletedProcess[str]:
        """`python -m embedded ...`; its output is shown as it comes and returned."""
        return self._run([sys.executable, "-m", "embedded", "--stack", STACK, *arguments], seconds)

    def operate(self, *arguments: str, seconds: int = 900, stack: str = STACK) -> subprocess.CompletedProcess[str]:
        """`python -m operations ...` with the shell settings that `make env` prints."""
        script = 'eval "$("$0" -m embedded --stack "$1" env)" && shift && exec "$0" -m operations "$@"'
        return self._run(["bash", "-c", script, sys.executable, STACK, "--stack", stack, *arguments], seconds)

    def _run(self, command: list[str], seconds: int) -> subprocess.CompletedProcess[str]:
        lines: list[str] = []
        with subprocess.Popen(
            command,
            cwd=PROJECT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                lines.append(line)
            code = process.wait(timeout=seconds)
        return subprocess.CompletedProcess(command, code, "".join(lines))


@pytest.fixture(scope="session")
def commands() -> Commands:
    return Commands()


@pytest.fixture(scope="session")
def first_up(commands: Commands) -> Iterator[subprocess.CompletedProcess[str]]:
    NEXT_IMAGE_DAG.unlink(missing_ok=True)
    if HOME.exists():  # an earlier run was killed
        commands.embedded("discard")
    yield commands.embedded("up")
    if HOME.exists() and commands.embedded("down").returncode:
        commands.embedded("discard")
    NEXT_IMAGE_DAG.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def cloud(first_up: subprocess.CompletedProcess[str]) -> Cloud:
    assert first_up.returncode == 0, "the stack was not deployed; its output is above"
    cloud = clouds.load(HOME)
    assert cloud is not None
    return cloud


@pytest.fixture(scope="session")
def deployment(cloud: Cloud) -> Iterator[Deployment]:
    from embedded.engine import engine_environment

    os.environ.update(engine_environment(cloud) | {"AIRFLOW_ON_EKS_WORKSPACE": str(cloud.path("pulumi", "workspace"))})
    found = find(STACK)
    yield found
    found.core_api().api_client.rest_client.pool_manager.clear()


@pytest.fixture(scope="session")
def airflow(deployment: Deployment) -> AirflowApi:
    return AirflowApi(deployment)


@pytest.fixture(scope="session")
def screenshots() -> Path:
    folder = PROJECT / "tests" / "e2e" / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder


def run_dag(airflow: AirflowApi, dag_id: str, conf: dict[str, object] | None = None, seconds: float = 600) -> tuple[str, str]:
    """Trigger a DAG and wait for its end: run id and state."""
    airflow.wait_for_dag(dag_id)
    run_id = airflow.trigger(dag_id, conf)
    return run_id, wait_for_end(airflow, dag_id, run_id, seconds)


def wait_for_end(airflow: AirflowApi, dag_id: str, run_id: str, seconds: float) -> str:
    """The state of a run once it has ended, or after so many seconds."""
    deadline = time.monotonic() + seconds
    while (state := airflow.run_state(dag_id, run_id)) not in FINISHED and time.monotonic() < deadline:
        time.sleep(2)
    return state


def run_python(deployment: Deployment, component: str, script: str, *, seconds: float = 60) -> str:
    """Run a script in a pod of a component of Airflow's; what it wrote."""
    api = deployment.core_api()
    pods = api.list_namespaced_pod(deployment.namespace, label_selector=f"tier=airflow,component={component}").items
    asked = stream(
        api.connect_get_namespaced_pod_exec,
        # one that an upgrade replaces is running to its end
        next(pod.metadata.name for pod in pods if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp),
        deployment.namespace,
        command=["python", "-W", "ignore", "-c", script],
        stdout=True,
        stderr=True,
        stdin=False,
        tty=False,
        _preload_content=False,  # or the client leaves its connection open
    )
    asked.run_forever(timeout=seconds)
    answer: str = asked.read_all()
    asked.sock.shutdown()  # close() leaves a connection alone that the other side has ended
    return answer


def efs_folder(cloud: Cloud, purpose: str) -> Path:
    """The access point's folder as the file system has it on this machine."""
    found = [path for path in cloud.path("efs").glob(f"*/{purpose}*") if path.is_dir()]
    assert len(found) == 1, found
    return found[0]


def drop_dags(cloud: Cloud, *names: str) -> None:
    """This tier's own DAGs, or those that are named, in the folder that people drop theirs into."""
    for file in DAGS.glob("*.py"):
        if not names or file.stem in names:
            (efs_folder(cloud, "dags") / file.name).write_text(file.read_text())
