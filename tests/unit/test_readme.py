"""The README's settings table is Pulumi.yaml's, and its commands exist."""

from __future__ import annotations

import re

import yaml

from operations.settings_table import PROJECT, with_table


def test_the_settings_table_is_the_one_of_pulumi_yaml() -> None:
    readme = (PROJECT / "README.md").read_text()
    project = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())
    assert with_table(readme, project) == readme, "run 'make docs'"


def test_every_make_command_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make (?:-s )?([a-z-]+)", (PROJECT / "README.md").read_text()))
    assert named <= targets, f"the README names commands that the Makefile lacks: {named - targets}"
