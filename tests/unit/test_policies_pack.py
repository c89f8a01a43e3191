"""C5: the policy pack hands the same rules to Pulumi: inputs as the engine shows them, exceptions by the stack's own tags.

pulumi-policy needs another protobuf than the program, so a stand-in with its few names takes its place here.
"""

from __future__ import annotations

import runpy
import sys
import types
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from components.planned import PlannedResource
from tests.conftest import PROJECT
from tests.unit.policy_examples import broken, plan

PACK = PROJECT / "policies" / "pack"


class UnknownValueError(Exception):
    pass


class Proxy(dict):
    """Raises on what is not known, as pulumi-policy's does."""

    def __getitem__(self, key: str) -> Any:
        if dict.__getitem__(self, key) == "?":
            raise UnknownValueError
        return dict.__getitem__(self, key)


@dataclass
class Shown:
    """A resource, or the arguments of a policy about one, as pulumi-policy shows them."""

    resource_type: str
    name: str
    props: Any
    parent: Any = None

    @property
    def urn(self) -> str:
        return f"urn:{self.resource_type}::{self.name}"


@pytest.fixture
def pack(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Policy name to its `validate`."""
    made: dict[str, Any] = {}

    def keep(**policy: Any) -> str:
        made[policy["name"]] = policy["validate"]
        assert policy["description"]
        return str(policy["name"])

    stub = types.ModuleType("pulumi_policy")
    stub.EnforcementLevel = types.SimpleNamespace(MANDATORY="mandatory")  # type: ignore[attr-defined]
    stub.ResourceValidationPolicy = stub.StackValidationPolicy = keep  # type: ignore[attr-defined]
    stub.PolicyPack = lambda **pack: made.update(pack=pack)  # type: ignore[attr-defined]
    proxy = types.ModuleType("pulumi_policy.proxy")
    proxy.UnknownValueError = UnknownValueError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pulumi_policy", stub)
    monkeypatch.setitem(sys.modules, "pulumi_policy.proxy", proxy)
    monkeypatch.setattr(sys, "path", list(sys.path))
    runpy.run_path(str(PACK / "__main__.py"), run_name="__main__")
    return made


def violations(pack: dict[str, Any], resources: list[PlannedResource], **tags: str) -> list[tuple[str, str | None]]:
    shown = [Shown(resource.type, resource.name, Proxy(resource.inputs), Shown("component", resource.parent, {})) for resource in resources]
    shown.append(
        Shown("aws:ecr/lifecyclePolicy:LifecyclePolicy", "tagged", Proxy({"tags": Proxy(tags)}), Shown("pulumi:pulumi:Stack", "x", {}))
    )
    for resource in shown:
        pack["inputs"](resource, None)
        resource.props = {}  # what a provider answers is not what the rules are about
    found: list[tuple[str, str | None]] = []
    for name in pack["pack"]["policies"]:
        if name != "inputs":
            pack[name](types.SimpleNamespace(resources=shown), lambda text, urn=None: found.append((text, urn)))
    return found


def test_a_good_stack_passes(pack: dict[str, Any]):
    assert violations(pack, plan()) == []


def test_a_broken_rule_names_rule_and_resource(pack: dict[str, Any]):
    ((text, urn),) = violations(pack, broken("database", "multiAz", False))
    assert text.startswith("rds-multi-az: rds.Instance database: the loss of a zone stops Airflow. Fix: set database.multiAz")
    assert urn == "urn:aws:rds/instance:Instance::database"


def test_the_tag_environment_decides_about_exceptions(pack: dict[str, Any]):
    single = broken("database", "multiAz", False)
    assert violations(pack, single, Environment="dev") == []
    assert len(violations(pack, single, Environment="prod")) == 1
    assert len(violations(pack, single, Environment="sandbox")) == 1, "an environment nobody knows has no exceptions"


def test_what_is_not_known_is_no_violation(pack: dict[str, Any]):
    assert violations(pack, broken("database", "multiAz", "?")) == []


def test_rules_about_secrecy_are_left_out_because_pulumi_unwraps_secrets(pack: dict[str, Any]):
    assert violations(pack, broken("database", "password", "in clear")) == []


def test_the_pack_can_be_found_by_pulumi():
    project = yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text())
    assert project["runtime"]["name"] == "python"
    assert "pulumi-policy" in (PACK / "requirements.txt").read_text()
