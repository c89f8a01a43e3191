"""B8: the exporter's objects and what Airflow is told of it. That Prometheus' text comes out of it is the e2e tier's to show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from components.airflow_config import METRICS_SERVICE
from components.airflow_metrics import AirflowMetrics, AirflowMetricsArgs, deployment
from tests.conftest import Engine
from tests.unit.restricted import violations
from tests.unit.test_airflow_config import config

Build = Callable[[Callable[[], Any]], Engine]
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def metrics() -> AirflowMetrics:
    return AirflowMetrics("m", AirflowMetricsArgs(namespace="airflow", release="airflow", image="exporter:v1"))


def test_b8_it_consists_of_exactly_these_resources(build: Build) -> None:
    assert build(metrics).children == {
        ("kubernetes:core/v1:ServiceAccount", "m-account"),
        ("kubernetes:apps/v1:Deployment", "m-exporter"),
        ("kubernetes:policy/v1:PodDisruptionBudget", "m-budget"),
        ("kubernetes:core/v1:Service", "m-service"),
        (POLICY, "m-to-traffic"),
        (POLICY, "m-from-traffic"),
    }


def test_b8_prometheus_finds_it_by_annotations_and_may_reach_nothing_but_the_scrape_port(build: Build) -> None:
    engine = build(metrics)
    service = engine.resources["kubernetes:core/v1:Service", "m-service"]
    assert service["metadata"]["annotations"]["prometheus.io/port"] == "9102"
    assert {(port["port"], port["protocol"]) for port in service["spec"]["ports"]} == {(9125, "UDP"), (9102, "TCP")}
    reports, scrapes = engine.resources[POLICY, "m-to-traffic"]["spec"]["ingress"]
    assert scrapes["ports"] == [{"protocol": "TCP", "port": 9102}]
    assert reports["ports"] == [{"protocol": "UDP", "port": 9125}]
    assert "namespaceSelector" not in str(reports), "reports come from this Airflow only"


def test_b8_workers_and_core_programs_may_report(build: Build) -> None:
    spec = build(metrics).resources[POLICY, "m-from-traffic"]["spec"]
    assert set(spec["podSelector"]["matchExpressions"][0]["values"]) == {
        "api-server",
        "scheduler",
        "dag-processor",
        "triggerer",
        "worker",
    }


def test_b4_its_pod_is_restricted_on_a_core_node_and_holds_no_token() -> None:
    pod = deployment("airflow", "exporter:v1")["template"]["spec"]
    assert list(violations(pod)) == []
    assert pod["nodeSelector"] == {"lifecycle": "OnDemand"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsUser"] == 65534


def test_b8_airflow_reports_labelled_names_to_the_service_only_when_it_exists() -> None:
    def variables(metrics: bool) -> dict[str, str]:
        return {key: value for key, value in config(metrics=metrics).items() if key.startswith("AIRFLOW__METRICS__")}

    assert variables(False) == {}
    told = variables(True)
    assert told["AIRFLOW__METRICS__STATSD_HOST"] == METRICS_SERVICE
    assert told["AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED"] == "True", "tags in the one form that the exporter makes labels of"
    assert told["AIRFLOW__METRICS__LEGACY_NAMES_ON"] == "False", "a name for each DAG and task would be a series without labels each"
