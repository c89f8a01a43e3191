"""The embedded cloud's database and registry: a real PostgreSQL and a real registry on a bridge. The e2e tests build an image."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest

from embedded import cloud as clouds
from embedded import database, network, pki, registry, toolchain
from embedded.cloud import Cloud, CloudError

ADDRESS = "airflow-postgres.example.us-west-2.rds.amazonaws.com"
# the services outlive whoever started them, which Python's subprocess module thinks is a mistake
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")


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
