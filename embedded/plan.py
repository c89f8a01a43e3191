"""The plan of a stack as the real engine makes it, with the settings that it was made from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml
from pulumi import automation as auto

from components.planned import PlannedResource
from components.settings import Settings
from embedded.cloud import PROJECT, Cloud
from embedded.engine import Progress
from operations import stack_file
from operations.plan_review import Review, review
from operations.resource_graph import GraphResource, read_saved_plan
from policies.check import Report, examine


@dataclass(frozen=True, kw_only=True)
class StackPlan:
    """What the engine would make of a stack."""

    resources: list[PlannedResource]
    settings: Settings
    graph: tuple[GraphResource, ...] = ()
    """The resources with what each of them needs; empty unless it was asked for."""

    def review(self) -> Review:
        """Its price and placement."""
        settings = self.settings
        return review(self.resources, region=settings.region, monthly_usd=settings.budget.monthly_usd, fallback=settings.workers.fallback)

    def policy_report(self) -> Report:
        """What every policy says of it."""
        return examine(self.resources, environment=self.settings.environment)


def preview(cloud: Cloud, stack: auto.Stack, progress: Progress, *, graph: bool = False) -> StackPlan:
    """Let the engine plan an opened stack; the program itself fails a preview over its budget, which this gives back all the same.

    Args:
        cloud: the embedded cloud that the stack was opened on.
        stack: what `open_stack` gave.
        progress: receives the engine's events.
        graph: whether to have the resources' dependencies too. The engine saves none of a preview that fails.

    Raises:
        CommandError: the engine or the program stopped for any other reason.
    """
    saved = cloud.path("pulumi") / "plan.json"
    try:
        stack.preview(on_event=progress, suppress_progress=True, plan=str(saved) if graph else None)
    except auto.CommandError:
        if not progress.over_budget:
            raise
    resources: tuple[GraphResource, ...] = ()
    if saved.exists():
        resources = read_saved_plan(json.loads(saved.read_text()))
        saved.unlink()
    return StackPlan(resources=progress.plan, settings=workspace_settings(cloud, stack.name), graph=resources)


def workspace_settings(cloud: Cloud, stack: str) -> Settings:
    """The settings of a stack that `open_stack` opened, for use after the program itself has checked them."""
    declared = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
    given = yaml.safe_load(cloud.path("pulumi", "workspace").joinpath(f"Pulumi.{stack}.yaml").read_text())["config"]
    return settings_from(declared, given, stack=stack)


def settings_from(declared: dict[str, Any], given: dict[str, Any], *, stack: str) -> Settings:
    """Settings from the declarations of Pulumi.yaml and the `config` of a stack file, which stands above the defaults."""
    parsed, problems = stack_file.parsed(declared, given, stack=stack)
    if problems:
        raise ValueError("; ".join(map(str, problems)))
    return Settings(**parsed)
