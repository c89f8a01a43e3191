"""DAGs from a git repository, as far as one machine shows it (row B7): no host of git can be reached from here, so it is a local one.

Runs before the file whose last test takes the stack down.
"""

from __future__ import annotations

import json

from components.git_dags_plan import BACKEND, bundle, connections
from components.settings import GitDagsSettings
from operations.deployment import Deployment
from tests.e2e.conftest import run_python

SETTINGS = GitDagsSettings(
    repository="https://git.example.com/team/dags.git",
    tracking_ref="main",
    subdirectory="dags",
    refresh_seconds=60,
    credentials_secret_arn="arn",
    known_hosts=(),
    host_cidrs=(),
)
SCRIPT = """
import json, os, pathlib, shutil, subprocess, sys
given = json.loads(GIVEN)
work = pathlib.Path("/tmp/git-test")
def git(*arguments):
    subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *arguments], check=True, capture_output=True)
(work / "source" / "dags").mkdir(parents=True)
(work / "source" / "dags" / "first.py").touch()
git("init", "--initial-branch=main", str(work / "source"))
git("-C", str(work / "source"), "add", ".")
git("-C", str(work / "source"), "commit", "--message=first")
(work / "connections.json").write_text(given["connections"])
given["bundle"]["kwargs"]["repo_url"] = str(work / "source")
os.environ |= {
    "_AIRFLOW_PROCESS_CONTEXT": "server",
    "AIRFLOW__SECRETS__BACKEND": given["backend"],
    "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(work / "connections.json")}),
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([given["bundle"]]),
}
from airflow.dag_processing.bundles.manager import DagBundlesManager
cloned = DagBundlesManager().get_bundle("git")
cloned.initialize()
first = cloned.get_current_version().version
(work / "source" / "dags" / "second.py").touch()
git("-C", str(work / "source"), "add", ".")
git("-C", str(work / "source"), "commit", "--message=second")
cloned.refresh()
pinned = DagBundlesManager().get_bundle("git", version=first)
pinned.initialize()
found = {
    "token": cloned.hook.auth_token,
    "path": str(cloned.path),
    "now": sorted(os.listdir(cloned.path)),
    "pinned": sorted(os.listdir(pinned.path)),
    "ssh": bool(shutil.which("ssh")),
}
shutil.rmtree(work)
shutil.rmtree(cloned.base_dir)
print("found " + json.dumps(found))
"""


def test_b7_the_image_clones_a_repository_on_a_read_only_root_and_keeps_a_run_at_its_commit(deployment: Deployment) -> None:
    """With the bundle and the connection that the stack would give Airflow."""
    given = {"bundle": bundle(SETTINGS), "connections": connections(SETTINGS, '{"token": "token-of-the-robot"}'), "backend": BACKEND}
    answer = run_python(deployment, "dag-processor", SCRIPT.replace("GIVEN", repr(json.dumps(given))))
    lines = [line.removeprefix("found ") for line in answer.splitlines() if line.startswith("found ")]
    assert len(lines) == 1, answer
    assert json.loads(lines[0]) == {
        "token": "token-of-the-robot",
        "path": "/tmp/dag-bundles/git/tracking_repo/dags",
        "now": ["first.py", "second.py"],
        "pinned": ["first.py"],
        "ssh": True,
    }
