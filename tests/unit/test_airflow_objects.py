"""A14, B1, B4, B5: specs of Deployments and Jobs. That Airflow runs in them is shown by the e2e tests."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from components import airflow_objects as objects
from tests.unit.restricted import violations

IMAGE = "registry/airflow@sha256:" + "a" * 64
NAMES = [component.name for component in objects.CORE]
BY_NAME = {component.name: component for component in objects.CORE}


def deployment(name: str, replicas: int = 2) -> dict[str, Any]:
    return objects.deployment(
        BY_NAME[name],
        release="airflow",
        version="3.3.2",
        image=IMAGE,
        worker_image={"WORKER_IMAGE": IMAGE},
        replicas=replicas,
        checksums={"checksum/config": "1"},
    )


def migrations() -> dict[str, Any]:
    return objects.migration_job(release="airflow", image=IMAGE)


def user() -> dict[str, Any]:
    return objects.user_job(release="airflow", image=IMAGE, username="eksuser", email="admin@example.com")


def pods() -> dict[str, Mapping[str, Any]]:
    found = {name: deployment(name)["template"]["spec"] for name in NAMES}
    return found | {"migrations": migrations()["template"]["spec"], "create-user": user()["template"]["spec"]}


def container(spec: Mapping[str, Any]) -> dict[str, Any]:
    [only] = spec["containers"]
    return only


def secrets(name: str) -> set[str]:
    [volume] = [volume["secret"] for volume in pods()[name]["volumes"] if "secret" in volume]
    assert volume["secretName"] == "airflow-secrets"
    return {item["path"] for item in volume["items"] if item["path"] == item["key"]}


def test_b1_airflow_is_four_programs() -> None:
    assert {name: container(pods()[name])["args"] for name in NAMES} == {
        "api-server": ["airflow", "api-server"],
        "scheduler": ["airflow", "scheduler"],
        "dag-processor": ["airflow", "dag-processor"],
        "triggerer": ["airflow", "triggerer"],
    }


@pytest.mark.parametrize("name", pods())
def test_b4_a_namespace_that_enforces_restricted_admits(name: str) -> None:
    assert list(violations(pods()[name])) == []


@pytest.mark.parametrize("name", pods())
def test_a14_only_on_demand_nodes_are_good_enough_for(name: str) -> None:
    assert pods()[name]["nodeSelector"] == {"lifecycle": "OnDemand"}
    assert "tolerations" not in pods()[name]


@pytest.mark.parametrize("name", pods())
def test_the_root_file_system_is_read_only_and_tmp_is_not_in(name: str) -> None:
    assert container(pods()[name])["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "tmp", "mountPath": "/tmp"} in container(pods()[name])["volumeMounts"]


@pytest.mark.parametrize("name", pods())
def test_requests_and_limits_are_set_for(name: str) -> None:
    resources = container(pods()[name])["resources"]
    assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("api-server", {"sql-alchemy-conn", "sql-alchemy-conn-async", "fernet-key", "api-secret-key", "jwt-secret"}),
        ("scheduler", {"sql-alchemy-conn", "sql-alchemy-conn-async", "fernet-key", "jwt-secret"}),
        ("dag-processor", {"sql-alchemy-conn", "sql-alchemy-conn-async", "fernet-key"}),
        ("triggerer", {"sql-alchemy-conn", "sql-alchemy-conn-async", "fernet-key", "api-secret-key"}),
        ("migrations", {"sql-alchemy-conn", "sql-alchemy-conn-async"}),
        ("create-user", {"sql-alchemy-conn", "sql-alchemy-conn-async", "admin-password"}),
    ],
)
def test_b3_each_program_holds_only_the_secrets_it_needs(name: str, keys: set[str]) -> None:
    assert secrets(name) == keys


@pytest.mark.parametrize("name", pods())
def test_b3_secrets_are_files_that_airflow_reads_by_command(name: str) -> None:
    program = container(pods()[name])
    assert not [entry for entry in program["env"] if "valueFrom" in entry]
    [mount] = [mount for mount in program["volumeMounts"] if mount["name"] == "secrets"]
    read = {entry["value"] for entry in program["env"] if entry["name"].endswith(("_CMD", "_FILE"))}
    assert {command.removeprefix("cat ") for command in read} == {f"{mount['mountPath']}/{key}" for key in secrets(name)}
    [volume] = [volume["secret"] for volume in pods()[name]["volumes"] if "secret" in volume]
    assert volume["defaultMode"] == 0o440
    assert pods()[name]["securityContext"]["fsGroup"] == 0


@pytest.mark.parametrize(("name", "token"), [(name, name in ("api-server", "scheduler")) for name in pods()])
def test_b3_only_who_asks_kubernetes_has_a_token(name: str, token: bool) -> None:
    assert pods()[name]["automountServiceAccountToken"] is token


@pytest.mark.parametrize(
    ("name", "mounts"),
    [
        ("api-server", {"/opt/airflow/logs"}),
        ("scheduler", {"/opt/airflow/logs", "/opt/airflow/pod_templates"}),
        ("dag-processor", {"/opt/airflow/shared-dags"}),
        ("triggerer", {"/opt/airflow/shared-dags", "/opt/airflow/logs"}),
        ("migrations", set()),
        ("create-user", set()),
    ],
)
def test_each_program_sees_only_the_folders_it_needs(name: str, mounts: set[str]) -> None:
    seen = {mount["mountPath"]: mount.get("readOnly", False) for mount in container(pods()[name])["volumeMounts"]}
    assert set(seen) - {"/tmp", "/opt/airflow/secrets"} == mounts
    assert seen.get("/opt/airflow/shared-dags", True), "DAGs have one writer, and it is none of these"


def test_the_template_is_a_mounted_folder_so_that_a_new_one_restarts_nothing() -> None:
    [mount] = [mount for mount in container(pods()["scheduler"])["volumeMounts"] if mount["mountPath"] == "/opt/airflow/pod_templates"]
    assert "subPath" not in mount


@pytest.mark.parametrize("name", NAMES)
def test_five_minutes_to_start_and_a_database_failover_restarts_nothing(name: str) -> None:
    program = container(pods()[name])
    assert program["startupProbe"]["failureThreshold"] * program["startupProbe"]["periodSeconds"] == 300
    assert program["livenessProbe"]["failureThreshold"] == 5
    assert program["readinessProbe"]


def test_no_probe_starts_airflows_command_line() -> None:
    for name in NAMES:
        command = container(pods()[name])["livenessProbe"].get("exec", {}).get("command", [])
        assert command[:2] in ([], ["python", "-c"]), "a start of it costs 2.6 CPU seconds and 130 MB"


def test_the_api_servers_probes_do_not_ask_the_database() -> None:
    program = container(pods()["api-server"])
    assert {program[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")} == {"/api/v2/version"}


@pytest.mark.parametrize(
    ("state", "age_seconds", "host", "alive"),
    [
        ("running", 5, None, True),
        ("running", 90, None, False),
        ("success", 5, None, False),
        ("running", 5, "another-pod", False),
    ],
)
def test_the_heartbeat_probe_believes_a_fresh_beat_of_its_own_pod_only(
    state: str, age_seconds: int, host: str | None, alive: bool, tmp_path: Any
) -> None:
    """The probe's own code, with a module psycopg2 that asks SQLite."""
    import socket

    here = socket.getaddrinfo(socket.gethostname(), None, 0, socket.SOCK_DGRAM, 0, socket.AI_CANONNAME)[0][3]
    file = tmp_path / "jobs.db"
    with sqlite3.connect(file) as connection:
        connection.execute("create table job (job_type text, hostname text, state text, latest_heartbeat text)")
        beat = connection.execute("select datetime('now', ?)", (f"-{age_seconds} seconds",)).fetchone()[0]
        connection.execute("insert into job values ('TriggererJob', ?, ?, ?)", (host or here, state, beat))
    connection.close()
    (tmp_path / "psycopg2.py").write_text(
        "import contextlib, sqlite3\n"
        "class Cursor(contextlib.closing):\n"
        "    def execute(self, query, values):\n"
        "        query = query.replace('%s', '?').replace(\"now() - interval '60 s'\", \"datetime('now', '-60 seconds')\")\n"
        "        self.rows = self.thing.execute(query, values)\n"
        "    def fetchone(self):\n"
        "        return self.rows.fetchone()\n"
        "    def __enter__(self):\n"
        "        return self\n"
        "class Connection:\n"
        "    def __init__(self, uri):\n"
        "        self.uri = uri.removeprefix('postgresql://')\n"
        "    def __enter__(self):\n"
        "        return self\n"
        "    def __exit__(self, *_):\n"
        "        pass\n"
        "    def cursor(self):\n"
        "        return Cursor(sqlite3.connect(self.uri))\n"
        "def connect(uri, connect_timeout):\n"
        "    return Connection(uri)\n"
    )
    uri = tmp_path / "uri"
    uri.write_text(f"postgresql+psycopg2://{file}")
    command = [sys.executable, "-c", objects.HEARTBEAT, "TriggererJob", str(uri)]
    answer = subprocess.run(command, env={"PYTHONPATH": str(tmp_path)}, check=False, capture_output=True)
    assert (answer.returncode == 0) is alive, answer.stderr


def test_every_program_is_spread_over_zones_and_nodes() -> None:
    for name in NAMES:
        spread = deployment(name)["template"]["spec"]["topologySpreadConstraints"]
        assert [item["topologyKey"] for item in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        assert all(item["matchLabelKeys"] == ["pod-template-hash"] for item in spread)


def test_a_version_never_stands_in_a_selector() -> None:
    spec = deployment("scheduler")
    assert spec["selector"]["matchLabels"] == {"tier": "airflow", "component": "scheduler", "release": "airflow"}
    assert spec["template"]["metadata"]["labels"]["app.kubernetes.io/version"] == "3.3.2"


def test_a_new_version_never_leaves_fewer_pods_than_asked_for() -> None:
    for name in NAMES:
        assert deployment(name)["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_requests_under_way_are_answered_before_an_api_server_ends() -> None:
    spec = pods()["api-server"]
    assert spec["terminationGracePeriodSeconds"] == 140
    assert container(spec)["lifecycle"] == {"preStop": {"sleep": {"seconds": 10}}}


def test_a14_one_pod_at_a_time_may_be_drained_even_when_it_is_the_only_one() -> None:
    budget = objects.disruption_budget("scheduler", release="airflow")
    assert budget["maxUnavailable"] == 1
    assert "minAvailable" not in budget
    assert budget["selector"]["matchLabels"]["component"] == "scheduler"


def test_two_of_each_fit_on_two_m5_large_beside_the_clusters_own_pods() -> None:
    cpu = sum(int(component.cpu.removesuffix("m")) for component in objects.CORE) * 2
    memory = sum(int(component.memory.removesuffix("Mi")) for component in objects.CORE) * 2
    assert cpu + 1000 < 2 * 1930, "CoreDNS, daemons, autoscaler, a migration and a surging pod need room"
    assert memory + 2048 < 2 * 7000


def test_b5_the_migration_is_a_job_that_ends_and_says_so() -> None:
    assert container(migrations()["template"]["spec"])["args"] == ["airflow", "db", "migrate"]
    for job in (migrations(), user()):
        assert (job["backoffLimit"], job["activeDeadlineSeconds"]) == (3, 900)
        assert job["template"]["spec"]["restartPolicy"] == "Never"
        assert "ttlSecondsAfterFinished" not in job, "a Job that removes itself is drift"


def test_a16_the_administrators_password_is_on_no_command_line() -> None:
    program = container(user()["template"]["spec"])
    assert "--password" not in " ".join(program["args"])
    assert {"name": "ADMIN_USER", "value": "eksuser"} in program["env"]


def test_a16_a_changed_password_reaches_an_existing_user(tmp_path: Any) -> None:
    airflow = tmp_path / "airflow"
    airflow.write_text('#!/bin/bash\n{ echo "$@"; cat; } >> "$RECORD"\n')
    airflow.chmod(0o755)
    [_, flag, script] = container(user()["template"]["spec"])["args"]
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "RECORD": str(tmp_path / "record"),
        "ADMIN_USER": "eksuser",
        "ADMIN_EMAIL": "admin@example.com",
        "ADMIN_PASSWORD_FILE": str(tmp_path / "password"),
    }
    (tmp_path / "password").write_text("per%cent")
    subprocess.run(["bash", flag, script], env=environment, check=True)
    assert (tmp_path / "record").read_text().splitlines() == [
        "users create --role Admin --username eksuser --email admin@example.com --firstname Airflow --lastname Admin",
        "per%cent",
        "per%cent",
        "users reset-password --username eksuser",
        "per%cent",
        "per%cent",
    ]
