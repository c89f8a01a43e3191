"""A13, A22: the load balancer's Service. That it answers is shown by the e2e tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from components import web_ui

CERTIFICATE = "arn:aws:acm:us-west-2:123456789012:certificate/1"


def annotations(**changes: Any) -> dict[str, str]:
    plan: dict[str, Any] = {"allowed_cidrs": (), "certificate_arn": None, "tags": {"Stack": "dev", "Owner": "data"}}
    return {key.removeprefix(web_ui.PREFIX): value for key, value in web_ui.service_annotations(**{**plan, **changes}).items()}


def test_a13_the_load_balancer_is_internal_unless_somebody_outside_may_use_it() -> None:
    assert annotations()["internal"] == "true"
    assert "internal" not in annotations(allowed_cidrs=("198.51.100.0/24",))


@pytest.mark.parametrize(
    ("allowed", "ranges"),
    [((), ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]), (("198.51.100.0/24",), ["198.51.100.0/24"])],
)
def test_a13_sources_are_always_named_because_none_means_all(allowed: tuple[str, ...], ranges: list[str]) -> None:
    assert web_ui.service(release="airflow", port=8080, allowed_cidrs=allowed) == {
        "type": "LoadBalancer",
        "selector": {"tier": "airflow", "component": "api-server", "release": "airflow"},
        "ports": [{"name": "web", "port": 8080, "targetPort": "api-server", "protocol": "TCP"}],
        "loadBalancerSourceRanges": ranges,
    }


def test_a22_the_load_balancer_carries_the_tags() -> None:
    assert annotations()["additional-resource-tags"] == "Owner=data,Stack=dev"


def test_a_certificate_makes_the_port_speak_modern_tls() -> None:
    assert "ssl-cert" not in annotations()
    tls = annotations(certificate_arn=CERTIFICATE)
    assert (tls["ssl-cert"], tls["ssl-ports"]) == (CERTIFICATE, "web")
    assert "TLS13" in tls["ssl-negotiation-policy"]


def test_its_health_check_does_not_ask_the_database() -> None:
    assert annotations()["healthcheck-path"] == "/api/v2/version"


@pytest.mark.parametrize(
    ("ingress", "port", "tls", "url"),
    [
        ([SimpleNamespace(hostname="lb.example.com", ip=None)], 8080, False, "http://lb.example.com:8080"),
        ([SimpleNamespace(hostname=None, ip="10.0.0.9")], 8080, False, "http://10.0.0.9:8080"),
        ([SimpleNamespace(hostname="lb.example.com", ip=None)], 443, True, "https://lb.example.com"),
        ([SimpleNamespace(hostname="lb.example.com", ip=None)], 8080, True, "https://lb.example.com:8080"),
        ([SimpleNamespace(hostname=None, ip=None)], 8080, False, ""),
        ([], 8080, False, ""),
        (None, 8080, False, ""),
    ],
)
def test_the_url_is_where_the_load_balancer_is(ingress: Any, port: int, tls: bool, url: str) -> None:
    assert web_ui.url(ingress, port=port, tls=tls) == url


def test_the_dns_record_is_what_the_load_balancer_has() -> None:
    assert web_ui.record([SimpleNamespace(hostname="lb.example.com", ip=None)]) == ("CNAME", "lb.example.com")
    assert web_ui.record([SimpleNamespace(hostname=None, ip="10.0.0.9")]) == ("A", "10.0.0.9")
    assert web_ui.record(None) == ("CNAME", "")
