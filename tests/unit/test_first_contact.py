"""C5: every trap of docs/first-contact.md is caught by something that exists; what each does is proved where it lives."""

from __future__ import annotations

import re

from policies.check import POLICIES
from policies.first_contact import __name__ as theme
from tests.conftest import PROJECT


def _rows() -> list[list[str]]:
    lines = (PROJECT / "docs" / "first-contact.md").read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ") and "proved by" not in line]


def test_every_trap_names_rules_and_tests_that_exist() -> None:
    tests = {name for file in (PROJECT / "tests").rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)}
    assert len(_rows()) >= 20
    for trap, _, proofs in _rows():
        named = re.findall(r"`([^`]+)`", proofs)
        assert named, trap
        assert [name for name in named if name not in POLICIES and name not in tests] == [], trap


def test_every_rule_about_first_contact_is_explained_by_its_trap() -> None:
    named = {name for row in _rows() for name in re.findall(r"`([^`]+)`", row[2])}
    rules = {rule.id for rule in POLICIES.values() if rule.judge.__module__ == theme}
    assert rules - named == {"group-spot-tainted"}, "which is a choice of this stack, not a trap of AWS"
