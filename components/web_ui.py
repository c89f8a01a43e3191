"""How the web UI is reached: the load balancer's Service, and the URL it gives. Pure.

The load balancer belongs to the cluster's cloud controller, which reads these annotations (cloud-provider-aws, service controller).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components import pod_security

SERVICE = "airflow"
COMPONENT = "api-server"
PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
"""Who may reach an internal load balancer: RFC 1918, and RFC 6598, which EKS also takes for VPCs. Without a list it is 0.0.0.0/0."""


def service_annotations(*, allowed_cidrs: Sequence[str], certificate_arn: str | None, tags: Mapping[str, str]) -> dict[str, str]:
    """What the load balancer is: a network load balancer, internal unless somebody outside may use it."""
    values = {
        "type": "nlb",
        "cross-zone-load-balancing-enabled": "true",
        "healthcheck-protocol": "http",
        "healthcheck-port": "traffic-port",
        "healthcheck-path": "/api/v2/version",
        # AWS passes no tags on to what a Service makes
        "additional-resource-tags": ",".join(f"{key}={value}" for key, value in sorted(tags.items())),
    }
    if not allowed_cidrs:
        values["internal"] = "true"
    if certificate_arn:
        values |= {"ssl-cert": certificate_arn, "ssl-ports": "web", "ssl-negotiation-policy": TLS_POLICY, "backend-protocol": "tcp"}
    return {PREFIX + key: value for key, value in values.items()}


def service(*, release: str, port: int, allowed_cidrs: Sequence[str]) -> dict[str, Any]:
    """Spec of the Service of type LoadBalancer."""
    return {
        "type": "LoadBalancer",
        "selector": pod_security.selector(release, COMPONENT),
        "ports": [{"name": "web", "port": port, "targetPort": "api-server", "protocol": "TCP"}],
        "loadBalancerSourceRanges": list(allowed_cidrs or PRIVATE_RANGES),
    }


def record(ingress: Sequence[Any] | None) -> tuple[str, str]:
    """Type and value of the DNS record that leads to the load balancer; AWS gives it a name, other clouds an address."""
    entry = next(iter(ingress or ()), None)
    return ("A", entry.ip) if entry and entry.ip and not entry.hostname else ("CNAME", entry.hostname if entry else "")


def url(ingress: Sequence[Any] | None, *, port: int, tls: bool) -> str:
    """Where a browser goes; empty while the load balancer has no address."""
    return url_of(record(ingress)[1] or "", port=port, tls=tls)


def url_of(host: str, *, port: int, tls: bool) -> str:
    """Where a browser goes to reach this host."""
    if not host:
        return ""
    scheme, usual = ("https", 443) if tls else ("http", 80)
    return f"{scheme}://{host}" if port == usual else f"{scheme}://{host}:{port}"
