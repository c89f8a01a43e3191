"""Where the stack's pods can land, read off the program as it declares its resources: for the stack's outputs.

`make preview`, `make up` and the policy `pods-placed` refuse a plan with a misplaced pod before anything is made; this shows the table of
what was made to whoever reads the outputs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

import pulumi
from pulumi import _types
from pulumi.output import Unknown
from pulumi.runtime import register_stack_transformation

from components import placement
from components.machines import MACHINES
from components.placement_plan import JUDGED
from components.planned import UNKNOWN, PlannedResource
from components.settings_parser import camel

NESTED = {"max_size": "maxSize"}
"""Names of arguments inside of others, as the plan has them. All else that counts is a manifest, whose keys are Kubernetes' own."""


class StackPlacement:
    """The placement of everything that is declared after it was made."""

    table: pulumi.Output[dict[str, Any]]
    """Each pod to each node group and whether it can be there, and what is wrong with that (`placement.as_data`)."""

    def __init__(self, fallback: placement.Fallback) -> None:
        self._fallback = fallback
        self._declared: list[pulumi.ResourceTransformationArgs] = []
        data: Awaitable[dict[str, Any]] = self._data()
        self.table = pulumi.Output.from_input(data)
        register_stack_transformation(self._note)

    def _note(self, declared: pulumi.ResourceTransformationArgs) -> None:
        if declared.type_ in JUDGED:
            self._declared.append(declared)

    async def _data(self) -> dict[str, Any]:
        # a task: it runs when the program's last line has run
        plan = []
        for item in self._declared:
            inputs = {camel(key): await _resolved(value) for key, value in item.props.items()}
            plan.append(PlannedResource(type=item.type_, name=item.name, inputs=inputs))
        return placement.as_data(placement.prove(plan, MACHINES, fallback=self._fallback))


async def _resolved(value: Any) -> Any:
    """A resource's argument with every output in it as its value; what is secret, or known to AWS alone, is unknown."""
    if isinstance(value, pulumi.Output):
        return UNKNOWN if await value.is_secret() else await _resolved(await value.future(with_unknowns=True))
    if isinstance(value, Unknown):
        return UNKNOWN
    if _types.is_input_type(type(value)):
        value = _types.input_type_to_untranslated_dict(value)
    if isinstance(value, Mapping):
        return {NESTED.get(key, key): await _resolved(item) for key, item in value.items()}
    return [await _resolved(item) for item in value] if isinstance(value, list | tuple) else value
