"""What a stack may be: rules over parsed settings, each with its reason and way out. Pure, and in the order of Pulumi.yaml.

A rule names the sections it needs as its parameters and is asked only when those could be read.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from components import (
    settings_rule,
    settings_rules_account,
    settings_rules_airflow,
    settings_rules_cluster,
    settings_rules_git,
    settings_rules_operations,
    settings_rules_web,
)
from components.settings_parser import MISSING, Problem

THEMES = (
    settings_rules_account,
    settings_rules_cluster,
    settings_rules_airflow,
    settings_rules_git,
    settings_rules_web,
    settings_rules_operations,
)
"""Importing a theme registers its rules; problems are told in this order."""
RULES = [rule for theme in THEMES for rule in settings_rule.RULES if rule.__module__ == theme.__name__]


def check(parsed: Mapping[str, Any]) -> list[Problem]:
    """Every problem of settings that were parsed; sections that were not are skipped."""
    found: list[Problem] = []
    for rule in RULES:
        wanted = {name: parsed[name] for name in inspect.signature(rule).parameters}
        if all(value is not MISSING for value in wanted.values()):
            found += rule(**wanted)
    return found
