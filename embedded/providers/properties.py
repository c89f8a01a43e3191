"""Values of resources: between the engine's protobuf form and plain Python, and what differs between two of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, NamedTuple

from google.protobuf import struct_pb2

Properties = dict[str, Any]
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"
RESOURCE_SIGNATURE = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWN_TEXTS = {  # pulumi/sdk/go/common/resource/plugin/rpc.go: one for each type of value that is not known yet
    UNKNOWN_TEXT,
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}


class Unknown:
    """The type of `UNKNOWN`, a value that a preview cannot know yet."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __deepcopy__(self, memo: object) -> Unknown:
        return self


UNKNOWN = Unknown()


class Change(NamedTuple):
    """What became of one property."""

    kind: str
    """add, delete or update."""
    old: Any
    new: Any


@dataclass
class Diff:
    """Changes by property path and those among them that need a new resource."""

    changes: dict[str, Change] = field(default_factory=dict)
    replaces: set[str] = field(default_factory=set)
    delete_before_replace: bool = False


def plain(value: Any) -> Any:
    """A protobuf value as Python: whole numbers as int, secrets unwrapped, references as ids, unknowns as UNKNOWN."""
    if isinstance(value, struct_pb2.Struct):
        return plain_object({key: plain(item) for key, item in value.fields.items()})
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    if kind == "struct_value":
        return plain(value.struct_value)
    if kind == "list_value":
        return [plain(item) for item in value.list_value.values]
    if kind == "number_value":
        return int(value.number_value) if value.number_value.is_integer() else value.number_value
    if kind == "string_value" and value.string_value in UNKNOWN_TEXTS:
        return UNKNOWN
    return getattr(value, kind)


def plain_object(value: Properties) -> Any:
    """Resolve the engine's marked objects (secrets, outputs, resource references); assets and archives stay as they are."""
    mark = value.get(SIGNATURE)
    if mark == SECRET_SIGNATURE:
        return value.get("value")
    if mark == OUTPUT_SIGNATURE:
        return value.get("value", UNKNOWN)
    if mark == RESOURCE_SIGNATURE:
        return value.get("id") or value["urn"]
    return value


def decoded(value: Any) -> Any:
    """A provider option, which SDKs send as JSON text unless it is a string; text that is not JSON is returned as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, object_hook=plain_object)
    except ValueError:
        return value


def is_known(value: Any) -> bool:
    """Whether there is no UNKNOWN anywhere in the value."""
    if isinstance(value, dict):
        return all(is_known(item) for item in value.values())
    if isinstance(value, list):
        return all(is_known(item) for item in value)
    return value is not UNKNOWN


def struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """The protobuf form of properties."""

    def value(item: Any) -> Any:
        if item is UNKNOWN:
            return UNKNOWN_TEXT
        if isinstance(item, Mapping):
            return {str(key): value(inner) for key, inner in item.items()}
        return [value(inner) for inner in item] if isinstance(item, list | tuple) else item

    result = struct_pb2.Struct()
    result.update(value(properties))
    return result


def _step(path: str, key: str) -> str:
    if not key or any(character in key for character in '.[]"'):
        return f"{path}[{json.dumps(key)}]"
    return f"{path}.{key}" if path else key


def compare(old: Any, new: Any, path: str = "") -> dict[str, Change]:
    """Changes between two values by property path; a missing property and a null one are the same."""
    if isinstance(old, dict) and isinstance(new, dict):
        pairs: Iterator[tuple[str, Any, Any]] = ((_step(path, key), old.get(key), new.get(key)) for key in {**old, **new})
    elif isinstance(old, list) and isinstance(new, list):
        before_after = zip_longest(old, new)
        pairs = ((f"{path}[{index}]", before, after) for index, (before, after) in enumerate(before_after))
    elif old == new and isinstance(old, bool) == isinstance(new, bool):
        return {}
    else:
        return {path: Change("add" if old is None else "delete" if new is None else "update", old, new)}
    return {key: change for step, before, after in pairs for key, change in compare(before, after, step).items()}


def covers(pattern: str, path: str) -> bool:
    """Whether a path is the pattern's property or lies inside it; `[*]` stands for every index."""
    star = pattern.split("[*]")
    if len(star) > 1:
        head, _, rest = path.partition("[")
        return head == star[0] and covers("x" + "[*]".join(star[1:]), "x" + rest.partition("]")[2])
    return path == pattern or path.startswith((f"{pattern}.", f"{pattern}["))


def diff_by_keys(olds: Properties, news: Properties, replace_keys: frozenset[str] | set[str], *, delete_first: bool = False) -> Diff:
    """Diff of inputs where a change in any of `replace_keys` (paths; "*": everything) needs a new resource."""
    changes = compare(olds, news)
    replaces = {path for path in changes if "*" in replace_keys or any(covers(key, path) for key in replace_keys)}
    return Diff(changes, replaces, bool(replaces) and delete_first)
