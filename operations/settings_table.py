"""The settings table of README.md, made from Pulumi.yaml: `python -m operations.settings_table` rewrites it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parent.parent
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def _shown(entry: dict[str, Any]) -> str:
    if "default" not in entry:
        return ""
    value = entry["default"]
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`" if text else "(empty)"


def table(project: dict[str, Any]) -> str:
    """A Markdown table of every declared setting."""
    rows = ["| setting | type | default | what it decides |", "|---|---|---|---|"]
    for key, entry in project["config"].items():
        if isinstance(entry, dict) and "type" in entry:
            description = " ".join(str(entry.get("description", "")).split()).replace("|", "\\|")
            rows.append(f"| `{key}` | {entry['type']} | {_shown(entry)} | {description} |")
    return "\n".join(rows)


def with_table(readme: str, project: dict[str, Any]) -> str:
    """The README with its settings table brought up to date."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{table(project)}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    page = PROJECT / "README.md"
    page.write_text(with_table(page.read_text(), yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())))
