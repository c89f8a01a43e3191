"""The components in the form that Pulumi's component host wants: what it reads from annotations, and what it hands over.

The host reads types as they are, not as text, and knows neither tuples nor `Literal`; and it hands over dictionaries with whole numbers as
floats, where a component takes a frozen dataclass. Both directions follow from the dataclass, so that a component knows nothing of this.
A field with a default, or one that may be None, is optional in the schema.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from inspect import get_annotations
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Optional, TypedDict, Union, get_args, get_origin

import pulumi
from pulumi.provider.experimental.component import ComponentProvider

from components.airflow_database import AirflowDatabase
from components.airflow_release import AirflowRelease
from components.efs_storage import EfsStorage
from components.spot_node_group import SpotNodeGroup

NAME = "airflow-on-eks"
VERSION: str = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["version"]


def _hints(owner: Any) -> dict[str, Any]:
    return get_annotations(owner, eval_str=True)


def _optional(hint: Any) -> Any | None:
    """The type of a value that may be None; None for any other."""
    if get_origin(hint) not in (Union, UnionType) or NoneType not in get_args(hint):
        return None
    return Union[tuple(kind for kind in get_args(hint) if kind is not NoneType)]  # noqa: UP007


def _shown(hint: Any, name: str) -> Any:
    """A type as the host can read it; `name` is that of the field."""
    inner = _optional(hint)
    if inner is not None:
        return Optional[_shown(inner, name)]  # noqa: UP045
    if is_dataclass(hint):
        return _shown_fields(hint)
    if get_origin(hint) is tuple:
        return list[_shown(get_args(hint)[0], name)]  # type: ignore[misc]
    if get_origin(hint) is Literal:
        title = "".join(word.capitalize() for word in name.split("_"))
        values = StrEnum(title, {re.sub(r"\W", "_", value).upper(): value for value in get_args(hint)})  # type: ignore[misc]
        values.__module__, values.__doc__ = __name__, f"Values of {name}."
        return values
    return hint


def _shown_fields(kind: Any) -> Any:
    hints = _hints(kind)
    shown = {field.name: _shown(hints[field.name], field.name) for field in fields(kind)}
    optional = {field.name for field in fields(kind) if field.default is not MISSING}
    made: Any = TypedDict(kind.__name__, {name: NotRequired[hint] if name in optional else hint for name, hint in shown.items()})  # type: ignore[misc]
    made.__module__, made.__qualname__, made.__doc__ = kind.__module__, kind.__qualname__, kind.__doc__  # whose source documents the fields
    return made


def _taken(hint: Any, value: Any) -> Any:
    """What the host hands over, in the type that a component takes."""
    hint = _optional(hint) or hint
    if value is None:
        return None
    if is_dataclass(hint):
        return _taken_fields(hint, value)
    if get_origin(hint) is tuple:
        return tuple(_taken(get_args(hint)[0], item) for item in value)
    if get_origin(hint) is Literal:
        return str(value.value)
    return int(value) if hint is int else value


def _taken_fields(kind: Any, values: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    given = [field.name for field in fields(kind) if field.name in values or field.default is MISSING]
    return kind(**{name: _taken(hints[name], values.get(name)) for name in given})


def packaged(component: type[pulumi.ComponentResource]) -> type[pulumi.ComponentResource]:
    """A component that the host can describe and make: same name, type, children and outputs."""
    args_type = _hints(component.__init__)["args"]
    outputs = _hints(component)

    def make(self: Any, name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        component.__init__(self, name, _taken_fields(args_type, args), opts)  # type: ignore[arg-type]
        for output in outputs:
            value = getattr(self, output)
            setattr(self, output, vars(value) if is_dataclass(value) else value)

    make.__annotations__ = {"args": _shown_fields(args_type)}
    described = {"__annotations__": {name: _shown(hint, name) for name, hint in outputs.items()}}
    copied = {name: getattr(component, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(component.__name__, (component,), {**copied, **described, "__init__": make})


PACKAGED = [packaged(component) for component in (SpotNodeGroup, AirflowDatabase, EfsStorage, AirflowRelease)]


def schema() -> str:
    """The package's schema, as Pulumi gets it from the host."""
    provider = ComponentProvider(PACKAGED, NAME, version=VERSION)
    return json.dumps(json.loads(provider.schema or ""), indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
