"""How a release is reached: the API server's Service, the web UI's load balancer, its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components import pod_security, web_ui
from components.airflow_config import API_PORT, API_SERVICE
from components.airflow_workloads import RELEASE, Place
from components.cost_tags import component_tags

if TYPE_CHECKING:
    from components.airflow_release import AirflowReleaseArgs


def internal_service(place: Place, server: pulumi.Resource) -> None:
    """The address at which Airflow's own programs and tasks find the API server."""
    # after its pods: a Service is awaited until it has some, and at first they wait for the database for longer than that
    k8s.core.v1.Service(
        f"{place.name}-internal",
        metadata=place.metadata(API_SERVICE),
        spec={
            "type": "ClusterIP",
            "selector": pod_security.selector(RELEASE, web_ui.COMPONENT),
            "ports": [{"name": "api-server", "port": API_PORT, "targetPort": "api-server", "protocol": "TCP"}],
        },
        opts=pulumi.ResourceOptions.merge(place.opts, pulumi.ResourceOptions(depends_on=[server])),
    )


def web_service(place: Place, args: AirflowReleaseArgs, server: pulumi.Resource) -> k8s.core.v1.Service:
    """The load balancer of the web UI."""
    annotations = web_ui.service_annotations(
        allowed_cidrs=args.web_allowed_cidrs, certificate_arn=args.web_certificate_arn, tags=component_tags(args.tags, "web")
    )
    return k8s.core.v1.Service(
        f"{place.name}-web",
        metadata=place.metadata(web_ui.SERVICE, annotations=annotations),
        spec=web_ui.service(release=RELEASE, port=args.web_port, allowed_cidrs=args.web_allowed_cidrs),
        opts=pulumi.ResourceOptions.merge(place.opts, pulumi.ResourceOptions(depends_on=[server])),
    )


def url(place: Place, args: AirflowReleaseArgs, web: k8s.core.v1.Service) -> pulumi.Output[str]:
    """Where a browser goes, once it leads there; makes the record of the name if there is a zone for it."""
    ingress = web.status.apply(_ingress)
    if args.web_domain_name is None:
        return ingress.apply(lambda known: web_ui.url(known, port=args.web_port, tls=bool(args.web_certificate_arn)))
    record: list[pulumi.Resource] = []
    if args.web_hosted_zone_id is not None:
        target = ingress.apply(web_ui.record)
        record = [
            aws.route53.Record(
                f"{place.name}-web-name",
                zone_id=args.web_hosted_zone_id,
                name=args.web_domain_name,
                type=target.apply(lambda known: known[0]),
                records=[target.apply(lambda known: known[1])],
                ttl=60,  # seconds: as long as a new load balancer may be missed
                opts=place.opts,
            )
        ]
    known = web_ui.url_of(args.web_domain_name, port=args.web_port, tls=bool(args.web_certificate_arn))
    return pulumi.Output.all(web.urn, *(made.urn for made in record)).apply(lambda _: known)  # not before it leads anywhere


def _ingress(status: Any) -> Any:
    return status.load_balancer.ingress if status and status.load_balancer else None
