"""Database, registry and image build of the embedded cloud.

The rules are tested as functions. The server itself is a real PostgreSQL and a real registry on a bridge, and needs root; without it those
tests say so and are skipped. An image build takes half a minute and belongs to the end-to-end tests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from embedded import cloud as clouds
from embedded import database, engine, image_base, image_build, network, pki, public_images, registry, toolchain
from embedded.cloud import Cloud, CloudError
from embedded.database_rules import host_rules, scram_verifier, server_settings

ADDRESS = "airflow-postgres.example.us-west-2.rds.amazonaws.com"
# the services outlive whoever started them, which Python's subprocess module thinks is a mistake
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the server runs as another user, on a bridge of its own")


def test_the_password_verifier_agrees_with_the_standards_example() -> None:
    # RFC 7677, section 3: password "pencil"
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    verifier = scram_verifier("pencil", salt)
    server_key = base64.b64decode(verifier.rpartition(":")[2])
    exchange = (
        "n=user,r=rOprNGfwEbeRWgbNEkqO,"
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    signature = hmac.digest(server_key, exchange.encode(), hashlib.sha256)
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert "pencil" not in verifier


def test_tls_is_demanded_unless_the_parameter_group_says_otherwise() -> None:
    assert "\nhostssl all all all scram-sha-256" in host_rules({})
    assert "\nhostssl all all all scram-sha-256" in host_rules({"rds.force_ssl": "1"})
    assert "\nhost all all all scram-sha-256" in host_rules({"rds.force_ssl": "0"})


def test_parameters_reach_postgresql_and_those_of_rds_are_translated() -> None:
    assert server_settings({"max_connections": "200", "rds.force_ssl": "1", "rds.logical_replication": "1"}) == {
        "max_connections": "200",
        "wal_level": "logical",
    }
    assert server_settings({"rds.logical_replication": "0"}) == {}


@pytest.mark.parametrize("parameters", [{"rds.unknown": "1"}, {"shared_buffers": "{DBInstanceClassMemory/32768}"}])
def test_a_parameter_without_a_meaning_here_is_refused_by_name(parameters: dict[str, str]) -> None:
    with pytest.raises(CloudError, match=next(iter(parameters))):
        server_settings(parameters)


def test_an_engine_version_without_a_program_is_refused() -> None:
    with pytest.raises(CloudError, match=r"no PostgreSQL 16\.14, only 17"):
        database.ensure_program("16.14")


@pytest.fixture
def nowhere(tmp_path: Path) -> Cloud:
    """A cloud of which nothing runs."""
    return Cloud(home=tmp_path, index=254)


@pytest.mark.parametrize("tag", ["docker.io/library/x:1", "x:1", "123456789012.dkr.ecr.us-west-2.amazonaws.com/x"])
def test_only_tags_of_this_clouds_registry_are_pushed(nowhere: Cloud, tag: str) -> None:
    with pytest.raises(CloudError, match="cannot push"):
        image_build.build_and_push(nowhere, context=nowhere.home, dockerfile=nowhere.home, build_args={}, tags=[tag])


def test_another_base_image_is_refused_before_anything_is_built(nowhere: Cloud) -> None:
    tag = f"{nowhere.registry_host}/airflow:1"
    for base in ("apache/airflow:2.10.5-python3.12", "localhost/something:1"):
        with pytest.raises(CloudError, match=base):
            image_build.build_and_push(nowhere, context=nowhere.home, dockerfile=nowhere.home, build_args={"BASE_IMAGE": base}, tags=[tag])


def test_a_build_borrows_the_machines_pip_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = tmp_path / "own-ca.pem"
    certificate.write_text("a certificate")
    monkeypatch.setenv("PIP_CERT", str(certificate))
    monkeypatch.setenv("PIP_TIMEOUT", "77")
    with image_base.machine_settings(tmp_path) as options:
        text = (tmp_path / "pip.conf").read_text()
        assert f"cert = {image_base.MOUNTS}/cert0" in text
        assert "timeout = 77" in text
        assert f"{certificate}:{image_base.MOUNTS}/cert0:ro" in options
        assert f"{tmp_path}/pip.conf:/etc/pip.conf:ro" in options
    assert not (tmp_path / "pip.conf").exists()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    toolchain.debian_tools()
    made = clouds.create(tmp_path_factory.mktemp("cloud") / "state")
    network.ensure_bridge(made)
    yield made
    database.stop_all(made)
    registry.stop_registry(made)
    network.remove_bridge(made)


@pytest.fixture
def start(cloud: Cloud) -> Callable[..., None]:
    def run(**changes: Any) -> None:
        defaults: dict[str, Any] = {
            "engine_version": "17",
            "username": "airflow",
            "password": "it's a secret",
            "database": "airflow",
            "parameters": {"rds.force_ssl": "1", "max_connections": "123"},
            "address": ADDRESS,
        }
        database.start_database(cloud, "airflow-postgres", **(defaults | changes))

    return run


def _query(cloud: Cloud, text: str, **changes: str) -> list[tuple[Any, ...]]:
    authority, _ = pki.ca(cloud)
    defaults = {
        "user": "airflow",
        "password": "it's a secret",
        "dbname": "airflow",
        "sslmode": "verify-full",
        "sslrootcert": str(authority),
    }
    connection = psycopg2.connect(host=ADDRESS, hostaddr=cloud.gateway, **(defaults | changes))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


@needs_root
def test_the_database_is_postgresql_with_tls_and_the_group_applied(cloud: Cloud, start: Callable[..., None]) -> None:
    start()
    [row] = _query(
        cloud,
        "SELECT current_setting('server_version'), current_setting('max_connections'), ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    )
    assert row == ("17.10", "123", True)
    assert _query(cloud, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [(False,)], "RDS gives no superuser"
    with pytest.raises(psycopg2.OperationalError, match="no encryption"):
        _query(cloud, "SELECT 1", sslmode="disable")
    with pytest.raises(psycopg2.OperationalError, match="rejects connection"):
        _query(cloud, "SELECT 1", user="rdsadmin")


@needs_root
def test_the_database_takes_changes_as_it_runs_and_refuses_wrong_ones(cloud: Cloud, start: Callable[..., None]) -> None:
    start()
    with pytest.raises(CloudError, match='unrecognized configuration parameter "nonsense"'):
        start(parameters={"nonsense": "1"})
    with pytest.raises(CloudError, match="one database, airflow-postgres"):
        database.start_database(
            cloud, "second", engine_version="17", username="a", password="b", database="c", parameters={}, address="second.example"
        )
    database.set_password(cloud, "airflow-postgres", username="airflow", password='n"ew')
    assert _query(cloud, "SELECT 1", password='n"ew') == [(1,)]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        _query(cloud, "SELECT 1")
    database.set_password(cloud, "airflow-postgres", username="airflow", password="it's a secret")
    assert "secret" not in (cloud.path("logs") / "database.log").read_text()


@needs_root
def test_stopping_keeps_the_data_and_deleting_does_not(cloud: Cloud, start: Callable[..., None]) -> None:
    start()
    _query(cloud, "CREATE TABLE kept (value int)")
    database.stop_database(cloud, "airflow-postgres")
    with pytest.raises(psycopg2.OperationalError):
        _query(cloud, "SELECT 1")
    start()
    assert _query(cloud, "SELECT count(*) FROM kept") == [(0,)]
    client = json.loads((cloud.home / database.CLIENT_FILE).read_text())
    assert client["PGHOST"] == ADDRESS
    assert (cloud.home / database.CLIENT_FILE).stat().st_mode & 0o077 == 0, "it has a password"
    database.delete_database(cloud, "airflow-postgres")
    assert not (cloud.home / "database/airflow-postgres").exists()


def _put(cloud: Cloud, path: str, content: bytes, kind: str) -> None:
    request = urllib.request.Request(f"http://{cloud.registry_address}{path}", data=content, method="PUT", headers={"Content-Type": kind})
    registry._OPENER.open(request).close()


@needs_root
def test_the_registry_keeps_images_by_digest_until_the_repository_goes(cloud: Cloud) -> None:
    registry.start_registry(cloud)
    assert registry.image_digests(cloud, "airflow") == {}
    content = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    upload = urllib.request.Request(f"http://{cloud.registry_address}/v2/airflow/blobs/uploads/", data=b"", method="POST")
    with registry._OPENER.open(upload) as answer:
        place = answer.headers["Location"].removeprefix(f"http://{cloud.registry_address}")
    _put(cloud, f"{place}&digest={digest}", content, "application/octet-stream")
    kind = "application/vnd.oci.image.manifest.v1+json"
    configuration = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(content)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": configuration, "layers": []}).encode()
    _put(cloud, "/v2/airflow/manifests/one", manifest, kind)
    registry.stop_registry(cloud)
    registry.start_registry(cloud)
    assert registry.image_digests(cloud, "airflow") == {"one": f"sha256:{hashlib.sha256(manifest).hexdigest()}"}
    assert registry.config_digest(cloud, "airflow", "one") == digest
    registry.delete_repository(cloud, "airflow")
    assert registry.image_digests(cloud, "airflow") == {}


def test_nodes_get_public_images_by_the_tag_that_is_built_here(nowhere: Cloud) -> None:
    spec = {"spec": {"template": {"spec": {"containers": [{"image": "a"}], "initContainers": [{"image": "b"}, {"name": "unknown"}]}}}}
    assert sorted(public_images.images_of(spec)) == ["a", "b"]
    public_images.provide(nowhere, f"{nowhere.registry_host}/airflow@sha256:{'0' * 64}")  # the stack's own: nothing to do
    for reference in ("quay.io/prometheus/statsd-exporter:v0.0.1", "docker.io/library/nginx:1", "nginx"):
        with pytest.raises(CloudError, match=r"the embedded cloud has those of .* and quay\.io/prometheus/statsd-exporter"):
            public_images.provide(nowhere, reference)


def test_settings_of_one_run_are_written_as_a_path() -> None:
    given = engine.given_settings(["airflow.metrics.enabled=true", "airflow.cleanup.logRetentionDays=30", "owner=a=b"])
    nested = {"metrics": {"enabled": True}, "cleanup": {"logRetentionDays": 30}}
    assert given == {"airflow-on-eks:airflow": nested, "airflow-on-eks:owner": "a=b"}
    with pytest.raises(CloudError, match=r"write it as SECTION\.KEY=VALUE"):
        engine.given_settings(["airflow.metrics.enabled"])
