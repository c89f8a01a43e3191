"""What rules over settings are made of: the register that they enter themselves into, and questions that several of them ask. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence

from components import network_plan
from components.settings_parser import Problem

Rule = Callable[..., Iterator[Problem]]
RULES: list[Rule] = []
LOG_RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""CloudWatch Logs API reference, PutRetentionPolicy."""
WIDEST_PREFIX = {4: 16, 6: 32}
"""Ranges wider than this hold so many strangers that they count as the whole internet."""


def registered(function: Rule) -> Rule:
    """Enter a rule into the register."""
    RULES.append(function)
    return function


def matches(setting: str, value: str | None, pattern: str, rule: str, way_out: str = "") -> Iterator[Problem]:
    """A text, if there is one, is of this form."""
    if value is not None and not re.fullmatch(pattern, value):
        yield Problem(setting=setting, value=value, rule=rule, way_out=way_out)


def between(setting: str, value: int, least: int, most: int, way_out: str = "") -> Iterator[Problem]:
    """A number is within bounds."""
    if not least <= value <= most:
        yield Problem(setting=setting, value=value, rule=f"must be {least} to {most}", way_out=way_out)


def retention(setting: str, days: int) -> Iterator[Problem]:
    """CloudWatch can keep logs for so long."""
    if days not in LOG_RETENTIONS:
        yield Problem(setting=setting, value=days, rule=f"CloudWatch knows {', '.join(map(str, LOG_RETENTIONS))}")


def legal_ranges(setting: str, cidrs: Sequence[str]) -> Iterator[Problem]:
    """Address ranges are written as such."""
    for cidr in cidrs:
        if problem := network_plan.cidr_problem(cidr):
            yield Problem(setting=setting, value=cidr, rule=problem)


def parsed_ranges(cidrs: Sequence[str]) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The ranges that are written as such."""
    for cidr in cidrs:
        if network_plan.cidr_problem(cidr) is None:
            yield ipaddress.ip_network(cidr)
