"""What the clean-up CronJobs are, and what their commands delete. That Airflow's own commands work is the e2e tier's to show."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components import airflow_maintenance as maintenance
from components.airflow_config import LOGS
from components.airflow_maintenance import AirflowMaintenance, AirflowMaintenanceArgs, cron_jobs
from components.settings import CleanupSettings
from tests.conftest import Engine
from tests.unit.restricted import violations

Build = Callable[[Callable[[], Any]], Engine]
ALL = CleanupSettings(pods=True, database_retention_days=90, log_retention_days=30)
NONE = CleanupSettings(pods=False, database_retention_days=0, log_retention_days=0)
CRON_JOB = "kubernetes:batch/v1:CronJob"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def made(cleanup: CleanupSettings) -> Callable[[], AirflowMaintenance]:
    args = AirflowMaintenanceArgs(namespace="airflow", release="airflow", image="image@sha256:0", cleanup=cleanup)
    return lambda: AirflowMaintenance("m", args)


def pods(cleanup: CleanupSettings = ALL) -> dict[str, Any]:
    jobs = cron_jobs(cleanup, release="airflow", image="image@sha256:0")
    return {name: job["jobTemplate"]["spec"]["template"]["spec"] for name, job in jobs.items()}


def test_it_consists_of_exactly_these_resources(build: Build) -> None:
    assert build(made(ALL)).children == {
        *((CRON_JOB, f"m-cleanup-{what}") for what in ("pods", "database", "logs")),
        ("kubernetes:core/v1:ServiceAccount", "m-cleanup-pods-account"),
        ("kubernetes:rbac.authorization.k8s.io/v1:Role", "m-cleanup-pods-role"),
        ("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", "m-cleanup-pods-binding"),
        (POLICY, "m-cleanup-pods-traffic"),
        (POLICY, "m-cleanup-database-traffic"),
    }


@pytest.mark.parametrize(
    ("cleanup", "jobs"),
    [
        (NONE, set()),
        (CleanupSettings(pods=True, database_retention_days=0, log_retention_days=0), {"cleanup-pods"}),
        (CleanupSettings(pods=False, database_retention_days=7, log_retention_days=0), {"cleanup-database"}),
        (CleanupSettings(pods=False, database_retention_days=0, log_retention_days=7), {"cleanup-logs"}),
    ],
)
def test_each_is_a_setting_of_its_own(cleanup: CleanupSettings, jobs: set[str]) -> None:
    assert set(pods(cleanup)) == jobs


def test_b3_pods_are_deleted_with_two_verbs_and_without_a_secret(build: Build) -> None:
    role = build(made(ALL)).resources["kubernetes:rbac.authorization.k8s.io/v1:Role", "m-cleanup-pods-role"]
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "delete"]}]
    pod = pods()["cleanup-pods"]
    assert pod["automountServiceAccountToken"] is True
    assert "secret" not in str(pod["volumes"])


def test_b4_each_reaches_one_port_and_the_one_for_logs_none(build: Build) -> None:
    engine = build(made(ALL))
    rules = {name: policy["spec"]["egress"] for name, policy in engine.of_type(POLICY).items()}
    ports = {name: [port["port"] for port in rule["ports"]] for name, [rule] in rules.items()}
    assert ports == {"m-cleanup-pods-traffic": [443], "m-cleanup-database-traffic": [5432]}
    for [rule] in rules.values():
        assert "0.0.0.0/0" not in str(rule["to"]), "private addresses only"


def test_b4_all_are_restricted_and_on_core_nodes() -> None:
    for name, pod in pods().items():
        assert list(violations(pod)) == [], name
        assert pod["nodeSelector"] == {"lifecycle": "OnDemand"}


def test_none_runs_beside_itself_or_for_ever() -> None:
    for job in cron_jobs(ALL, release="airflow", image="i").values():
        assert job["concurrencyPolicy"] == "Forbid"
        assert job["jobTemplate"]["spec"]["activeDeadlineSeconds"] == maintenance.DEADLINE_SECONDS


def test_the_database_keeps_no_archive_of_what_it_deletes_and_a_failure_shows() -> None:
    command = pods()["cleanup-database"]["containers"][0]["args"][-1]
    for option in ("--skip-archive", "--error-on-cleanup-failure", "--batch-size", "--yes"):
        assert option in command


def test_old_logs_go_and_young_ones_and_fresh_folders_stay(tmp_path: Path) -> None:
    def log(name: str, days: float) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("line")
        _age(file, days)
        return file

    old, young = log("dag_id=a/run_id=1/attempt=1.log", 40), log("dag_id=b/run_id=2/attempt=1.log", 5)
    fresh, stale = tmp_path / "dag_id=c", tmp_path / "dag_id=d"
    fresh.mkdir()
    stale.mkdir()
    _age(stale, 3)
    script = maintenance.CLEAN_LOGS.replace(LOGS, str(tmp_path))
    done = subprocess.run(["bash", "-c", script], env=os.environ | {"RETENTION_DAYS": "30"}, capture_output=True, text=True, check=True)
    assert "log files deleted: 1" in done.stdout
    assert (old.exists(), young.exists(), fresh.exists(), stale.exists()) == (False, True, True, False)
    assert tmp_path.exists(), "the mount itself stays"


def _age(path: Path, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(path, (then, then))
