"""Values on their way between Pulumi and AWS: names, types, what AWS does not list, and what means the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from embedded.providers.server import UNKNOWN, CheckError


def locate(shape: Any, name: str, param: str) -> tuple[list[str], Any]:
    """Where a Pulumi input goes among an operation's parameters, and the form it has there."""
    steps = param.split(".")
    path = []
    for step in steps:
        actual = member(shape, name if step == "?" else step, {})
        if actual is None:
            raise LookupError(f"the table maps {name} to {param}, which AWS does not have")
        path.append(actual)
        shape = shape.members[actual]
    return path, shape


def squashed(name: str) -> str:
    """A name for comparing: AWS's and Pulumi's spellings differ in case only."""
    return name.replace("_", "").replace("-", "").lower()


def member(shape: Any, name: str, names: Mapping[str, str]) -> str | None:
    """AWS's name for a Pulumi name in a structure."""
    wanted = squashed(names.get(name, name))
    for candidate in (wanted, wanted + "s", wanted.removesuffix("s"), f"{wanted[:-3]}y" if wanted.endswith("ies") else wanted):
        for actual in shape.members:
            if squashed(actual) == candidate:
                return str(actual)
    return None


def to_aws(value: Any, shape: Any, names: Mapping[str, str], path: str) -> Any:
    """A Pulumi value in the form of a botocore shape; a part that has no place there is refused by name."""
    if value is UNKNOWN or value is None:
        return value
    kind = shape.type_name
    if kind == "structure":
        if isinstance(value, list):  # Pulumi has a list where AWS has one
            return to_aws(value[0], shape, names, path) if value else None
        if not isinstance(value, dict):
            raise CheckError({path: f"must be an object, not {value!r}"})
        result = {}
        for key, item in value.items():
            actual = member(shape, key, names)
            if actual is None:
                raise CheckError({f"{path}.{key}": "no rule of the embedded cloud maps this to AWS"})
            if item is not None:
                result[actual] = to_aws(item, shape.members[actual], names, f"{path}.{key}")
        return result
    if kind == "list":
        if isinstance(value, dict) and {"Key", "Value"} <= set(getattr(shape.member, "members", ())):
            return [{"Key": key, "Value": str(item)} for key, item in value.items()]
        items = value if isinstance(value, list) else [value]
        return [to_aws(item, shape.member, names, f"{path}[{index}]") for index, item in enumerate(items)]
    if kind == "map":
        return {key: to_aws(item, shape.value, names, f"{path}.{key}") for key, item in value.items()}
    return _scalar(value, kind, path)


def _scalar(value: Any, kind: str, path: str) -> Any:
    if isinstance(value, dict | list):
        raise CheckError({path: f"must be a {kind}, not {value!r}"})
    try:
        if kind == "boolean":
            return {"true": True, "false": False}[str(value).lower()]
        if kind in ("integer", "long"):
            return int(value)
        if kind in ("float", "double"):
            return float(value)
    except (KeyError, ValueError):
        raise CheckError({path: f"must be a {kind}, not {value!r}"}) from None
    if kind == "string":
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value


def problems(value: Any, shape: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Values that AWS's model does not list, which SDKs would send unchecked."""
    if value is UNKNOWN or value is None:
        return
    if shape.type_name == "structure":
        for key, item in value.items():
            yield from problems(item, shape.members[key], f"{path}.{key}" if path else key)
    elif shape.type_name in ("list", "map"):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        inner = shape.value if shape.type_name == "map" else shape.member
        for key, item in pairs:
            yield from problems(item, inner, f"{path}[{key}]")
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        known = f"one of {', '.join(shape.enum)}" if len(shape.enum) <= 30 else f"one of the {len(shape.enum)} that AWS lists"
        yield path, f"'{value}' is not {known}"


def placeholder(value: Any, shape: Any) -> Any:
    """A value for validation in a preview: what is not known yet becomes anything of the right type."""
    if value is UNKNOWN:
        least = int(shape.metadata.get("min", 1) or 1)
        simple: dict[str, Any] = {"string": "x" * least, "integer": least, "long": least, "boolean": True, "map": {}, "structure": {}}
        return [] if shape.type_name == "list" and least <= 1 else simple.get(shape.type_name, 1)
    if isinstance(value, dict) and shape.type_name == "structure":
        return {key: placeholder(item, shape.members[key]) for key, item in value.items()}
    if isinstance(value, dict):
        return {key: placeholder(item, shape.value) for key, item in value.items()}
    if isinstance(value, list):
        return [placeholder(item, shape.member) for item in value]
    return value


def to_pulumi(value: Any) -> Any:
    """An AWS value as the provider gives one that the program did not: names begin small."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: to_pulumi(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_pulumi(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _json(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def same(old: Any, new: Any) -> bool:
    """Whether two scalars mean the same to AWS: "true" and true, "443" and 443, equal JSON documents."""
    old, new = _json(old), _json(new)
    if isinstance(old, dict | list) or isinstance(new, dict | list):
        return bool(old == new)
    return str(old).lower() == str(new).lower() if isinstance(old, bool) or isinstance(new, bool) else str(old) == str(new)


def observed(old: Any, actual: Any, names: Mapping[str, str]) -> Any:
    """What AWS has for an input, in the program's own words where that is the same thing."""
    if isinstance(old, dict) and isinstance(actual, list) and actual and isinstance(actual[0], dict):
        pairs = {item["Key"]: item["Value"] for item in actual if {"Key", "Value"} <= item.keys()}
        if pairs:
            return {key: old[key] if key in old and same(old[key], value) else value for key, value in pairs.items()}
        return observed(old, actual[0], names)
    if isinstance(old, list) and isinstance(actual, dict):
        return observed(old, [actual], names)
    if isinstance(old, dict) and isinstance(actual, dict):
        spelled = {squashed(key): key for key in actual}
        result = {}
        for key, item in old.items():
            wanted = squashed(names.get(key, key))
            found = next((spelled[form] for form in (wanted, wanted + "s", wanted.removesuffix("s")) if form in spelled), None)
            result[key] = item if found is None else observed(item, actual[found], names)  # None: AWS keeps it to itself
        return result
    if isinstance(old, list) and isinstance(actual, list):
        left = list(actual)
        matches: list[Any] = []
        for item in old:
            match = next((other for other in left if observed(item, other, names) == item), None)
            matches.append(match)
            if match is not None:
                left.remove(match)
        listed: list[Any] = []
        for item, match in zip(old, matches, strict=True):
            if match is not None:
                listed.append(item)
            elif left:
                listed.append(observed(item, left.pop(0), names))
        return listed + [to_pulumi(item) for item in left]
    if isinstance(actual, dict) and not (isinstance(old, str) and old[:1] == "{"):
        return to_pulumi(actual)
    if same(old, actual):
        return old
    return json.dumps(actual) if isinstance(actual, dict) else to_pulumi(actual)
