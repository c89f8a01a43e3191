"""How to look into the values of a plan, some of which are secret and some not known yet. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from components.planned import UNKNOWN, PlannedResource

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"
SECRET_TEXT = "[secret]"
UNKNOWN_TEXTS = frozenset(
    # pulumi/sdk/go/common/resource/plugin/rpc.go: one for each type of value that is not known yet
    (
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    )
)


class _Secret:
    def __repr__(self) -> str:
        return "SECRET"

    def __bool__(self) -> bool:
        return False


SECRET = _Secret()
"""Stands for a value that Pulumi keeps encrypted; a rule may know that it is there, never what it is."""


def readable(value: Any) -> Any:
    """A value as rules read it: the engine's marks for secret and unknown values become SECRET and UNKNOWN."""
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET_SIGNATURE:
            return SECRET
        return {str(key): readable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [readable(item) for item in value]
    if isinstance(value, type(UNKNOWN)) or (isinstance(value, str) and value in UNKNOWN_TEXTS):
        return UNKNOWN  # a copy of it too: rules compare by identity
    return SECRET if value == SECRET_TEXT else value


def is_known(value: Any) -> bool:
    """Whether a rule can look into the value."""
    return value is not UNKNOWN and value is not SECRET


def readable_plan(plan: Iterable[PlannedResource]) -> list[PlannedResource]:
    """A plan whose inputs are all readable."""
    return [replace(resource, inputs=readable(resource.inputs), outputs=readable(resource.outputs)) for resource in plan]


def at(value: Any, path: str, default: Any = None) -> Any:
    """The value at a dotted path; UNKNOWN as soon as the path leads into something unknown."""
    for step in path.split("."):
        if value is UNKNOWN:
            return UNKNOWN
        if isinstance(value, list | tuple) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, Mapping) and value.get(step) is not None:
            value = value[step]
        else:
            return default
    return value


def known(value: Any, kind: Any, default: Any) -> Any:
    """The value if it is of that kind, else the default: for values that may be unknown or hidden."""
    return value if isinstance(value, kind) else default
