"""The end of the stack that the files before this one made and used (row A23)."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from embedded.cloud import PROJECT
from embedded.engine import Progress
from tests.engine.conftest import Engine


def test_destroy_leaves_nothing(engine: Engine, deployed: Progress) -> None:
    stack = engine.stack("local")
    engine.run(stack.destroy)
    assert engine.inventory() == {}
    left = engine.cloud.home / "kubernetes-leftovers.json"
    assert not left.exists() or not any(json.loads(left.read_text()).values())


def test_shipped_files_are_untouched() -> None:
    for file in Path(PROJECT).glob("Pulumi.*.yaml"):
        assert "encryptionsalt" not in yaml.safe_load(file.read_text()), f"{file.name} must stay as shipped"
