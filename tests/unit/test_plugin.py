"""The components as a package for other languages: its schema, and that what is made of it is what a Python program would make.

That Pulumi starts the package, and makes the components from a program in YAML, is shown by the engine tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pytest
from pulumi.errors import InputPropertyError
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.server import ComponentInitError

from components.airflow_database import AirflowDatabase
from components.airflow_release import AirflowRelease
from components.efs_storage import EfsStorage
from components.spot_node_group import SpotNodeGroup
from plugin import packaged
from tests.conftest import PROJECT, foreign, only_up, run_program
from tests.unit.test_component_contract import ARGS, NAME
from tests.unit.test_settings import load

PROVIDER = ComponentProvider(packaged.PACKAGED, packaged.NAME, version=packaged.VERSION)
KINDS = (SpotNodeGroup, AirflowDatabase, EfsStorage, AirflowRelease)


def made(kind: type, given: Mapping[str, Any]) -> Any:
    return PROVIDER.construct(NAME, f"airflow-on-eks:index:{kind.__name__}", dict(given))


def test_the_schema_is_the_one_that_is_checked_in() -> None:
    kept = (PROJECT / "plugin" / "schema.json").read_text()
    assert packaged.schema() == kept, (
        "programs in other languages depend on it: if the change is meant, run 'make docs' and tell it in the changelog"
    )


def test_the_schema_tells_what_a_caller_must_know() -> None:
    schema = json.loads(packaged.schema())
    assert {name.rpartition(":")[2] for name in schema["resources"]} == {kind.__name__ for kind in KINDS}
    release = schema["resources"]["airflow-on-eks:index:AirflowRelease"]
    assert {"image", "database", "webPort"} <= set(release["requiredInputs"])
    assert not {"kmsKeyArn", "webCertificateArn", "workerFallback"} & set(release["requiredInputs"]), "None is a value of theirs"
    assert "plain" not in release["inputProperties"]["image"], "wiring may be another resource's output"
    assert release["inputProperties"]["webPort"]["plain"], "what decides how many resources there are may not"
    assert [value["value"] for value in schema["types"]["airflow-on-eks:index:WorkerFallback"]["enum"]] == ["none", "on-demand"]
    undescribed = [name for name, kind in {**schema["resources"], **schema["types"]}.items() if not kind["description"]]
    assert undescribed == []


@only_up
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_component_made_from_another_language_is_the_same(
    kind: type[pulumi.ComponentResource], preview: bool, tags: dict[str, str]
) -> None:
    args = ARGS[kind](load(), tags)
    results: list[Any] = []
    direct = run_program(lambda: kind(NAME, args), stack="dev", preview=preview)  # type: ignore[arg-type]
    remote = run_program(lambda: results.append(made(kind, foreign(args))), stack="dev", preview=preview)
    assert remote.raw == direct.raw
    assert len(remote.raw) > 5
    (result,) = results
    declared = json.loads(packaged.schema())["resources"][f"airflow-on-eks:index:{kind.__name__}"]["required"]
    assert set(result.state) == set(declared), "every output has a value"


def test_the_password_stays_a_secret_on_its_way_out(tags: dict[str, str]) -> None:
    def program() -> None:
        pulumi.export("connection", made(AirflowDatabase, foreign(ARGS[AirflowDatabase](load(), tags))).state["connection"])

    assert "connection" in run_program(program, stack="dev", preview=False).secret_exports


MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], Any], type[Exception], str]] = {
    "left out": (lambda given: given.pop("instanceTypes"), InputPropertyError, "Missing required input 'instanceTypes'"),
    "deep inside": (lambda given: given["wiring"].pop("clusterName"), InputPropertyError, "Missing required input 'wiring.clusterName'"),
    "no such type": (lambda given: given.update(instanceTypes=["m5.lagre"]), ComponentInitError, "did you mean m5.large?"),
    "sizes": (lambda given: given.update(minSize=9.0), ComponentInitError, "sizes must be 0 <= min <= desired <= max, got 9, "),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_in_words(mistake: str, tags: dict[str, str]) -> None:
    spoil, error, words = MISTAKES[mistake]
    given = foreign(ARGS[SpotNodeGroup](load(), tags))
    spoil(given)
    with pytest.raises(error) as refused:
        made(SpotNodeGroup, given)
    assert words in getattr(refused.value, "reason", str(refused.value))
