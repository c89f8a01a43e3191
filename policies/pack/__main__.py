"""The stack's policies as a Pulumi policy pack: `pulumi up --policy-pack policies/pack`.

Pulumi shows a stack policy what providers answered, which holds more than the program asked for. The rules are about inputs, so a resource
policy writes these down as the engine comes by, and the stack policies judge what was written. Pulumi unwraps secrets for policies: the
rules that ask whether something is one are left to `make policy`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy, StackValidationPolicy
from pulumi_policy.proxy import UnknownValueError

from components.planned import UNKNOWN, PlannedResource
from policies.check import THEMES, Finding, judged
from policies.exceptions import EXCEPTIONS
from policies.rules import POLICIES, Plan, Policy

ABOUT_SECRECY = {"secret-hidden", "rds-password-hidden"}
inputs: dict[str, dict[str, Any]] = {}
"""URN to inputs, of every resource of the running operation."""


def plain(value: Any) -> Any:
    """A value without Pulumi's proxies, which raise on what is not known."""
    if isinstance(value, Mapping):
        return {str(key): _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN


def remember(args: Any, report_violation: Any) -> None:
    """Keep a resource's inputs for the policies over the whole stack."""
    inputs[args.urn] = plain(args.props)


def planned(resources: Sequence[Any]) -> list[PlannedResource]:
    """The stack's resources in the form the rules read."""
    return [
        PlannedResource(
            type=resource.resource_type,
            name=resource.name,
            inputs=inputs[resource.urn] if resource.urn in inputs else plain(resource.props),
            outputs=plain(resource.props),
            parent=resource.parent.name if resource.parent and not resource.parent.resource_type.startswith("pulumi:") else "",
        )
        for resource in resources
    ]


def environment(plan: Sequence[PlannedResource]) -> str:
    """What the stack's own tags say it is; prod, which may break no rule, when they say nothing."""
    tags = (resource.inputs.get("tags") for resource in plan)
    found = {tag["Environment"] for tag in tags if isinstance(tag, Mapping) and tag.get("Environment") in EXCEPTIONS}
    return found.pop() if len(found) == 1 else "prod"


def stack_policy(theme: Any) -> StackValidationPolicy:
    """All rules of one theme as one policy: Pulumi hands the whole stack over anew for each."""
    rules: list[Policy] = [rule for rule in POLICIES.values() if rule.judge.__module__ == theme.__name__ and rule.id not in ABOUT_SECRECY]

    def validate(args: Any, report_violation: Any) -> None:
        plan = planned(args.resources)
        allowed = EXCEPTIONS[environment(plan)]
        urns = {(resource.resource_type, resource.name): resource.urn for resource in args.resources}
        read = Plan(plan)
        for rule in (rule for rule in rules if rule.id not in allowed):
            for subject, verdict in judged(rule, read):
                if isinstance(verdict, str):
                    where = subject.resource and urns.get((subject.resource.type, subject.resource.name))
                    report_violation(str(Finding(policy=rule, resource=subject.name, detail=verdict)), where)

    name = theme.__name__.rpartition(".")[2].replace("_", "-")
    return StackValidationPolicy(
        name=name, description=theme.__doc__.strip(), validate=validate, enforcement_level=EnforcementLevel.MANDATORY
    )


PolicyPack(
    name="airflow-on-eks",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        ResourceValidationPolicy(
            name="inputs", description="Writes inputs down for the policies over the stack; reports nothing itself", validate=remember
        ),
        *(stack_policy(theme) for theme in THEMES),
    ],
)
