"""From nested plain values to typed sections, with every mismatch reported. Knows dataclasses and nothing of Airflow, AWS or Pulumi."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

KUBERNETES_EFFECTS = {"NoSchedule": "NO_SCHEDULE", "NoExecute": "NO_EXECUTE", "PreferNoSchedule": "PREFER_NO_SCHEDULE"}
"""The taint effects as Kubernetes spells them, to EKS's spelling (EKS API reference, Taint)."""
SECRET_WORDS = ("password", "secret", "fernet", "token")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One sentence about one setting."""

    setting: str
    value: Any = None
    """What was given; left out of the message when it is None."""
    rule: str
    way_out: str = ""
    only_warns: bool = False

    def __str__(self) -> str:
        given = "" if self.value is None else f" = {self.value!r}"
        return f"{self.setting}{given}: {self.rule}" + (f"; {self.way_out}" if self.way_out else "")


class Missing:
    """Stands for a value that could not be parsed; rules that need it are not asked."""


MISSING = Missing()


def camel(name: str) -> str:
    """`allowed_cidrs` -> `allowedCidrs`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def similar(word: str, known: Iterable[str]) -> str:
    """`did you mean X?` for a near miss, else an empty text."""
    names = list(known)
    found = [name for name in names if word.startswith(name)] or difflib.get_close_matches(word, names, n=1)
    return f"did you mean {found[0]}?" if found else ""


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Sections from `section.key` names.

    The engine writes defaults and `pulumi config set --path` into objects, while `pulumi config set web.port 8081` makes a key of that
    very name: both are accepted, and the key, set later by hand, wins.
    """
    result: dict[str, Any] = {}
    for key, value in sorted(values.items(), key=lambda item: item[0].count(".")):
        *sections, leaf = key.split(".")
        target = result
        for section in sections:
            inner = target.get(section)
            target[section] = inner = dict(inner) if isinstance(inner, Mapping) else {}
            target = inner
        target[leaf] = value
    return result


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` in place of its own, object by object."""
    return dict(base) | {
        key: merged(base[key], value) if isinstance(value, Mapping) and isinstance(base.get(key), Mapping) else value
        for key, value in over.items()
    }


def keys(cls: type, prefix: str = "") -> list[str]:
    """Every setting of a section class, as `section.key`."""
    found: list[str] = []
    for name, kind in get_type_hints(cls).items():
        path = f"{prefix}{camel(name)}"
        found += keys(kind, f"{path}.") if is_dataclass(kind) and isinstance(kind, type) else [path]
    return found


def parse(cls: type, given: Mapping[str, Any], *, fixed: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, Any], list[Problem]]:
    """Constructor arguments for `cls`, and what is wrong with `given`; an argument that is wrong is `MISSING`.

    Fields in `fixed` come from elsewhere and are taken as they are.
    """
    kinds = get_type_hints(cls)
    wanted = {camel(field.name): field.name for field in fields(cls) if field.name not in fixed}
    arguments: dict[str, Any] = dict(fixed)
    problems = [_unknown(f"{prefix}{key}", wanted, prefix, value) for key, value in given.items() if key not in wanted]
    for key, name in wanted.items():
        if key in given or (is_dataclass(kinds[name]) and not prefix):
            value = given.get(key, {})
            arguments[name], found = _value(kinds[name], value, f"{prefix}{key}")
            problems += found
        else:
            arguments[name] = MISSING
            rule = "is missing" if "[" in prefix else "is missing, and Pulumi.yaml in this folder has no default for it"
            problems.append(Problem(setting=f"{prefix}{key}", rule=rule))
    return arguments, problems


def _unknown(key: str, wanted: Iterable[str], prefix: str, value: Any) -> Problem:
    leaf = key.removeprefix(prefix)
    if any(word in leaf.lower() for word in SECRET_WORDS):
        return Problem(setting=key, rule="is no setting", way_out="passwords and keys are generated and kept as Pulumi secrets: remove it")
    if not prefix and isinstance(value, Mapping):
        return Problem(setting=key, rule="unknown section", way_out=similar(leaf, wanted))
    return Problem(setting=key, rule="unknown setting", way_out=similar(leaf, wanted) or f"known here: {', '.join(wanted)}")


def _value(kind: Any, value: Any, path: str) -> tuple[Any, list[Problem]]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):  # only `X | None` is used: an empty text means that nothing is given
        return (None, []) if value in ("", None) else _value(arguments[0], value, path)
    if origin is Literal:
        return _choice(arguments, value, path)
    if origin is tuple:
        return _list(arguments[0], value, path)
    if isinstance(kind, type) and is_dataclass(kind):
        return _section(kind, value, path)
    if origin is not None and issubclass(origin, Mapping):
        return _map(value, path)
    return _scalar(kind, value, path)


def _wrong(path: str, value: Any, rule: str, way_out: str = "") -> tuple[Missing, list[Problem]]:
    return MISSING, [Problem(setting=path, value=value, rule=rule, way_out=way_out)]


def _choice(choices: tuple[str, ...], value: Any, path: str) -> tuple[Any, list[Problem]]:
    value = KUBERNETES_EFFECTS.get(value, value) if isinstance(value, str) else value
    if value in choices:
        return value, []
    return _wrong(path, value, f"must be one of {', '.join(choices)}", similar(str(value), choices))


def _list(kind: Any, value: Any, path: str) -> tuple[Any, list[Problem]]:
    if not isinstance(value, list):
        return _wrong(path, value, f"must be a list, got {_noun(value)}")
    results = [_value(kind, item, f"{path}[{index}]") for index, item in enumerate(value)]
    problems = [problem for _, found in results for problem in found]
    return (MISSING if problems else tuple(item for item, _ in results)), problems


def _section(kind: type, value: Any, path: str) -> tuple[Any, list[Problem]]:
    if not isinstance(value, Mapping):
        return _wrong(path, value, f"is a section with settings of its own, got {_noun(value)}", f"known in it: {', '.join(keys(kind))}")
    arguments, problems = parse(kind, value, fixed={}, prefix=f"{path}.")
    return (MISSING if any(item is MISSING for item in arguments.values()) else kind(**arguments)), problems


def _map(value: Any, path: str) -> tuple[Any, list[Problem]]:
    if not isinstance(value, Mapping):
        return _wrong(path, value, f"must be an object of texts, got {_noun(value)}")
    texts = {key: _as_text(item) for key, item in value.items()}
    bad = [Problem(setting=f"{path}.{key}", value=item, rule="must be a text") for key, item in texts.items() if not isinstance(item, str)]
    return (MISSING if bad else texts), bad


def _scalar(kind: type, value: Any, path: str) -> tuple[Any, list[Problem]]:
    if isinstance(value, str) and "[" not in path:  # `pulumi config set` stores every value as text; inside lists types are kept
        value = _from_text(kind, value)
    if kind is str and not isinstance(value, bool):
        value = _as_text(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) is not (kind is bool) or not isinstance(value, kind):
        noun = {int: "an integer", bool: "true or false", str: "a text"}[kind]
        return _wrong(path, value, f"must be {noun}, got {_noun(value)}")
    if value == "" and kind is str:
        return _wrong(path, value, "must not be empty", f"remove it to get the default: pulumi config rm --path {path}")
    return value, []


def _from_text(kind: type, text: str) -> Any:
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind is int and text.removeprefix("-").isdecimal():
        return int(text)
    return text


def _as_text(value: Any) -> Any:
    # in sections the engine itself turns "17" into 17 and "true" into true
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else value


def _noun(value: Any) -> str:
    nouns: dict[type, str] = {dict: "an object", list: "a list", str: "a text"}
    return nouns.get(type(value), repr(value))
