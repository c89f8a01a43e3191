"""Airflow's metrics for Prometheus: a StatsD exporter that every Airflow process reports to and that Prometheus scrapes.

Owns Deployment, Service, account and network rules. Airflow sends the names it has had since 3.2, with what varies (DAG, task, pool) as
tags, which the exporter turns into labels as they are: there are no mapping rules to keep. One pod is enough: counters begin anew after
a restart, as Prometheus expects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import airflow_objects as objects
from components import airflow_pods, pod_security
from components.airflow_config import METRICS_PORT, METRICS_SERVICE

COMPONENT = "statsd"
SCRAPE_PORT = 9102
SENDERS = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
USER_ID = 65534
"""`nobody`, the user of the exporter's image."""


@dataclass(frozen=True, kw_only=True)
class AirflowMetricsArgs:
    """Where the exporter runs and as what."""

    namespace: pulumi.Input[str]
    release: str
    """Value of the label `release`."""
    image: str
    """Image of prometheus/statsd_exporter."""


class AirflowMetrics(pulumi.ComponentResource):
    """The exporter on a core node; Prometheus finds it by the usual annotations `prometheus.io/*`."""

    scrape_url: pulumi.Output[str]
    """Where Prometheus reads."""

    def __init__(self, name: str, args: AirflowMetricsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-on-eks:index:AirflowMetrics", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        metadata = {"name": METRICS_SERVICE, "namespace": args.namespace}
        account = k8s.core.v1.ServiceAccount(f"{name}-account", metadata=metadata, automount_service_account_token=False, opts=child)
        rules = [
            k8s.networking.v1.NetworkPolicy(f"{name}-{key}-traffic", metadata={**metadata, "name": policy_name}, spec=spec, opts=child)
            for key, policy_name, spec in (("to", "airflow-to-statsd", _received()), ("from", "airflow-metrics", _sent()))
        ]
        exporter = k8s.apps.v1.Deployment(
            f"{name}-exporter",
            metadata={**metadata, "labels": pod_security.labels(args.release, COMPONENT)},
            spec=deployment(args.release, args.image),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[account, *rules])),
        )
        k8s.policy.v1.PodDisruptionBudget(
            f"{name}-budget", metadata=metadata, spec=objects.disruption_budget(COMPONENT, release=args.release), opts=child
        )
        service = k8s.core.v1.Service(
            f"{name}-service",
            metadata={**metadata, "annotations": _annotations()},
            spec=_service(args.release),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[exporter])),
        )
        self.scrape_url = pulumi.Output.concat(
            "http://", service.metadata["name"], ".", service.metadata["namespace"], f".svc:{SCRAPE_PORT}/metrics"
        )
        self.register_outputs({"scrape_url": self.scrape_url})


def deployment(release: str, image: str) -> dict[str, Any]:
    """Spec of the exporter's Deployment."""
    health = {"httpGet": {"path": "/-/healthy", "port": "metrics"}, "periodSeconds": 10, "timeoutSeconds": 5}
    container = {
        "name": COMPONENT,
        "image": image,
        "args": [f"--statsd.listen-udp=:{METRICS_PORT}", "--statsd.listen-tcp="],
        "ports": [
            {"name": "statsd", "containerPort": METRICS_PORT, "protocol": "UDP"},
            {"name": "metrics", "containerPort": SCRAPE_PORT, "protocol": "TCP"},
        ],
        "livenessProbe": health,
        "readinessProbe": {**health, "httpGet": {"path": "/-/ready", "port": "metrics"}},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
        "securityContext": pod_security.CONTAINER,
    }
    spec = airflow_pods.pod(COMPONENT, container, volumes=[], token=False) | {
        "securityContext": {**pod_security.POD, "runAsUser": USER_ID, "runAsGroup": USER_ID, "fsGroup": USER_ID},
    }
    return {
        "replicas": 1,
        "selector": {"matchLabels": pod_security.selector(release, COMPONENT)},
        "template": {"metadata": {"labels": pod_security.labels(release, COMPONENT), "annotations": _annotations()}, "spec": spec},
    }


def _annotations() -> Mapping[str, str]:
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(SCRAPE_PORT), "prometheus.io/path": "/metrics"}


def _service(release: str) -> dict[str, Any]:
    return {
        "type": "ClusterIP",
        "selector": pod_security.selector(release, COMPONENT),
        "ports": [
            {"name": "statsd", "port": METRICS_PORT, "targetPort": "statsd", "protocol": "UDP"},
            {"name": "metrics", "port": SCRAPE_PORT, "targetPort": "metrics", "protocol": "TCP"},
        ],
    }


def _among(*components: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": "component", "operator": "In", "values": list(components)}]}


def _received() -> dict[str, Any]:
    """Reports of this Airflow; scrapes of any pod of the cluster: which one is Prometheus, this stack cannot know."""
    return {
        "podSelector": _among(COMPONENT),
        "policyTypes": ["Ingress"],
        "ingress": [
            {"from": [{"podSelector": _among(*SENDERS)}], "ports": [{"protocol": "UDP", "port": METRICS_PORT}]},
            {"from": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": SCRAPE_PORT}]},
        ],
    }


def _sent() -> dict[str, Any]:
    return {
        "podSelector": _among(*SENDERS),
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": _among(COMPONENT)}], "ports": [{"protocol": "UDP", "port": METRICS_PORT}]}],
    }
