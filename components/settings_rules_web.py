"""Rules for the web UI: who reaches it, and by which name. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.settings_parser import Problem
from components.settings_rule import WIDEST_PREFIX, between, legal_ranges, matches, parsed_ranges, registered

if TYPE_CHECKING:
    from components import settings as kinds


@registered
def web_ui_is_not_open_by_accident(web: kinds.WebSettings, region: str) -> Iterator[Problem]:
    """Open to the internet only on purpose, and with TLS."""
    yield from legal_ranges("web.allowedCidrs", web.allowed_cidrs)
    yield from between("web.port", web.port, 1, 65535)
    yield from matches(
        "web.certificateArn", web.certificate_arn, r"arn:aws:acm:[a-z0-9-]+:\d{12}:certificate/[\w-]+", "is no ACM certificate"
    )
    home = (web.certificate_arn or "").split(":")[3:4]
    if home and home != [region]:
        yield Problem(setting="web.certificateArn", rule=f"is of region {home[0]}, the load balancer of {region}")
    if web.i_understand_this_is_public:
        return
    way_out = "or set web.iUnderstandThisIsPublic to true"
    for network in parsed_ranges(web.allowed_cidrs):
        if network.prefixlen < WIDEST_PREFIX[network.version]:
            yield Problem(setting="web.allowedCidrs", value=str(network), rule="opens the login page to the internet", way_out=way_out)
    if web.allowed_cidrs and web.certificate_arn is None:
        rule = "is needed with web.allowedCidrs: passwords would cross the internet in clear"
        yield Problem(setting="web.certificateArn", rule=rule, way_out=way_out)


@registered
def web_ui_has_a_name(web: kinds.WebSettings) -> Iterator[Problem]:
    """A name that DNS can have, in a zone that Route 53 can have."""
    pattern, rule = r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", "is no domain name (airflow.example.com)"
    yield from matches("web.domainName", web.domain_name, pattern, rule, "give it without https:// and in lower case")
    yield from matches("web.hostedZoneId", web.hosted_zone_id, r"Z[A-Z0-9]{1,31}", "is no id of a Route 53 hosted zone (Z...)")
    if web.hosted_zone_id and web.domain_name is None:
        yield Problem(setting="web.hostedZoneId", rule="a record of which name?", way_out="set web.domainName too")
