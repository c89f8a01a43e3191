"""Settings in a stack file: read with the defaults of Pulumi.yaml, and changed in place. What is not changed stays, byte by byte."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from components import settings_parser
from components.settings import Settings
from components.settings_parser import Problem, merged

PROJECT_NAME = "airflow-on-eks"


class StackFileError(RuntimeError):
    """A stack file cannot be read or changed; the message says what to do by hand."""


def file_of(project: Path, stack: str) -> Path:
    """The file of a stack, which may be given as `organization/stack`.

    Raises:
        StackFileError: there is none.
    """
    file = project / f"Pulumi.{stack.rpartition('/')[2]}.yaml"
    if not file.exists():
        known = ", ".join(sorted(name.name.split(".")[1] for name in project.glob("Pulumi.*.yaml")))
        raise StackFileError(f"there is no stack '{stack}': {file.name} is missing; there are files of {known}")
    return file


def parsed(declared: Mapping[str, Any], given: Mapping[str, Any], *, stack: str) -> tuple[dict[str, Any], list[Problem]]:
    """Typed settings, and what could not be typed, from the declarations of Pulumi.yaml and the `config` of a stack file."""
    prefix = f"{PROJECT_NAME}:"
    defaults = settings_parser.nested({key: entry["default"] for key, entry in declared.items()})
    own = settings_parser.nested({key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)})
    fixed = {"region": given.get("aws:region", ""), "stack": stack.rpartition("/")[2]}
    return settings_parser.parse(Settings, merged(defaults, own), fixed=fixed)


def parsed_file(project: Path, stack: str, text: str | None = None) -> tuple[dict[str, Any], list[Problem]]:
    """The same for a stack of a project folder; `text` stands in for the file's own."""
    declared = yaml.safe_load((project / "Pulumi.yaml").read_text())["config"]
    content = yaml.safe_load(file_of(project, stack).read_text() if text is None else text) or {}
    return parsed(declared, content.get("config") or {}, stack=stack)


def region(project: Path, stack: str) -> str:
    """The stack's region; empty if its file names none."""
    return str(((yaml.safe_load(file_of(project, stack).read_text()) or {}).get("config") or {}).get("aws:region", ""))


def changed(text: str, changes: Mapping[str, str]) -> str:
    """A stack file's text with other values; comments, order and style of the rest stay.

    Args:
        text: the file.
        changes: `section.key` to its value.

    Raises:
        StackFileError: the file is written in a way that this cannot change.
    """
    for dotted, value in changes.items():
        try:
            text = text if _value(text, dotted) == value else _put(text, dotted, value)
            done = _value(text, dotted) == value
        except yaml.YAMLError:
            done = False
        if not done:
            raise StackFileError(f"the stack file is written in a way that cannot be edited here: set {dotted} to {value} by hand")
    return text


def _value(text: str, dotted: str) -> Any:
    config = (yaml.safe_load(text) or {}).get("config") or {}
    section, _, key = dotted.partition(".")
    plain = config.get(f"{PROJECT_NAME}:{dotted}")  # as `pulumi config set web.port` writes it, and above the section
    return plain if plain is not None else (config.get(f"{PROJECT_NAME}:{section}") or {}).get(key)


def _put(text: str, dotted: str, value: str) -> str:
    text = text if text.endswith("\n") else f"{text}\n"
    config = _entry(yaml.compose(text), "config")
    if not isinstance(config, yaml.MappingNode):
        return text
    section, _, key = dotted.partition(".")
    plain = _entry(config, f"{PROJECT_NAME}:{dotted}")
    holder = _entry(config, f"{PROJECT_NAME}:{section}")
    old = plain or (_entry(holder, key) if isinstance(holder, yaml.MappingNode) else None)
    if old is not None:
        return text[: old.start_mark.index] + _scalar(value) + text[old.end_mark.index :]
    if isinstance(holder, yaml.MappingNode) and holder.flow_style:
        start = holder.start_mark.index + 1
        return f"{text[:start]}{key}: {_scalar(value)}{', ' if holder.value else ''}{text[start:]}"
    lines = text.splitlines(keepends=True)
    if isinstance(holder, yaml.MappingNode):
        # directly below the section's name: a comment stays with the key that it stands above
        header = next(name for name, node in config.value if node is holder)
        lines.insert(header.end_mark.line + 1, f"{' ' * holder.start_mark.column}{key}: {_scalar(value)}\n")
    elif holder is None:
        indent = " " * config.start_mark.column
        last = config.end_mark.line
        while last and lines[last - 1].strip() == "":
            last -= 1
        lines.insert(last, f"{indent}{PROJECT_NAME}:{section}:\n{indent}  {key}: {_scalar(value)}\n")
    return "".join(lines)


def _entry(node: Any, key: str) -> Any:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _scalar(value: str) -> str:
    return value if yaml.safe_load(value) == value else f'"{value}"'
