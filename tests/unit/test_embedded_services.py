"""Database, registry and image build of the embedded cloud: their rules. The services themselves run in `tests/engine`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from embedded import __main__ as commands
from embedded import database, engine, image_base, image_build, public_images
from embedded.cloud import Cloud, CloudError
from embedded.database_rules import host_rules, scram_verifier, server_settings


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


def test_a_web_ui_that_drops_the_first_question_is_asked_again() -> None:
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if len(asked) > 1:
                self.send_response(200)
                self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        commands.ask(f"http://127.0.0.1:{server.server_address[1]}/version")
        server.shutdown()
    assert asked == ["/version", "/version"]
