"""A22: the tags that split the bill, and which of a user's own are refused."""

from __future__ import annotations

import pytest

from components import cost_tags
from tests.unit.test_settings import load


def test_the_stacks_own_tags_come_last_so_that_nothing_overrides_them() -> None:
    tags = cost_tags.cost_tags(load({"tags": {"Team": "x"}, "owner": "analytics", "costCenter": "4711"}))
    assert tags == {
        "Team": "x",
        "Project": "airflow-on-eks",
        "Stack": "dev",
        "Environment": "dev",
        "Owner": "analytics",
        "CostCenter": "4711",
        "ManagedBy": "pulumi",
    }


def test_a_components_tags_name_its_part_of_the_bill() -> None:
    assert cost_tags.component_tags({"Owner": "x"}, "workers", capacity="spot", Name="n") == {
        "Owner": "x",
        "Component": "workers",
        "CapacityType": "spot",
        "Name": "n",
    }


def test_legal_tags_are_accepted() -> None:
    assert cost_tags.problems({"Team": "data", "team-lead": "x", "a" * 127: "v" * 256}) == {}


@pytest.mark.parametrize(
    ("tags", "key", "message"),
    [
        ({"aws:x": "1"}, "aws:x", "keys that begin with aws are set by AWS, EKS or the program"),
        ({"AWS:x": "1"}, "AWS:x", "keys that begin with aws"),
        ({"kubernetes.io/cluster/a": "owned"}, "kubernetes.io/cluster/a", "keys that begin with kubernetes.io"),
        ({"component": "x"}, "component", "Component is set by the program"),
        ({"Team": "a", "team": "b"}, "team", "differs from Team only by case"),
        ({"k" * 128: "v"}, "k" * 128, "a key has 1 to 127 characters, this one 128"),
        ({"": "v"}, "", "a key has 1 to 127 characters, this one 0"),
        ({"k": "v" * 257}, "k", "a value has at most 256 characters, this one 257"),
        ({f"k{number}": "v" for number in range(42)}, "", "at most 41 of your own, got 42"),
    ],
)
def test_an_illegal_tag_is_named_with_the_reason(tags: dict[str, str], key: str, message: str) -> None:
    assert message in cost_tags.problems(tags)[key]
