"""The plan of a stack as the real engine makes it, with the settings that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from components import settings_parser
from components.placement_plan import Pod
from components.planned import PlannedResource
from components.settings import Settings
from embedded.cloud import PROJECT, Cloud
from embedded.engine import PROJECT_NAME, merged
from operations.plan_review import Review, hidden_worker, review
from operations.resource_graph import GraphResource
from policies.check import Report, examine


@dataclass(frozen=True, kw_only=True)
class StackPlan:
    """What the engine would make of a stack."""

    resources: list[PlannedResource]
    settings: Settings
    graph: tuple[GraphResource, ...] = ()
    """The resources with what each of them needs; empty unless it was asked for."""

    @property
    def _more_pods(self) -> tuple[Pod, ...]:
        airflow = self.settings.airflow
        return hidden_worker(
            self.resources,
            cpu=airflow.worker_cpu,
            memory=airflow.worker_memory,
            grace_period_seconds=airflow.worker_grace_period_seconds,
        )

    def review(self) -> Review:
        """Its price and placement."""
        budget = self.settings.budget.monthly_usd
        return review(self.resources, region=self.settings.region, monthly_usd=budget, more_pods=self._more_pods)

    def policy_report(self) -> Report:
        """What every policy says of it."""
        return examine(self.resources, environment=self.settings.environment, more_pods=self._more_pods)


def workspace_settings(cloud: Cloud, stack: str) -> Settings:
    """The settings of a stack that `open_stack` opened, for use after the program itself has checked them."""
    declared = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
    given = yaml.safe_load(cloud.path("pulumi", "workspace").joinpath(f"Pulumi.{stack}.yaml").read_text())["config"]
    return settings_from(declared, given, stack=stack)


def settings_from(declared: dict[str, Any], given: dict[str, Any], *, stack: str) -> Settings:
    """Settings from the declarations of Pulumi.yaml and the `config` of a stack file, which stands above the defaults."""
    prefix = f"{PROJECT_NAME}:"
    defaults = settings_parser.nested({key: entry["default"] for key, entry in declared.items()})
    own = settings_parser.nested({key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)})
    parsed, problems = settings_parser.parse(Settings, merged(defaults, own), fixed={"region": given["aws:region"], "stack": stack})
    if problems:
        raise ValueError("; ".join(map(str, problems)))
    return Settings(**parsed)
