"""A resource as the plan sees it: the one form in which policies, placement, reachability and prices read a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PlannedResource:
    """One resource of a plan."""

    type: str
    """Pulumi type token, e.g. `aws:rds/instance:Instance`."""
    name: str
    """Logical name."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """Inputs as the engine has them: camelCase keys; a value not known before deployment is absent or `UNKNOWN`."""
    parent: str = ""
    """Logical name of the parent; empty for the stack itself."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """What the provider answered, once it has; for the few questions that inputs cannot answer."""


class _Unknown:
    """Stands for a value that only the deployment will know."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        return False


UNKNOWN = _Unknown()
