"""What a plan means before it is deployed: what it costs and where its pods can land, as text and as an answer. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components import cost_report, placement
from components.cost_estimate import NO_BUDGET, CostEstimate, estimate, over_budget
from components.cost_prices import dated_prices
from components.machines import MACHINES
from components.planned import PlannedResource
from components.planned_values import readable_plan


@dataclass(frozen=True, kw_only=True)
class Review:
    """A plan's price and placement."""

    costs: CostEstimate
    proof: placement.Proof
    budget: str | None
    """Why the plan is too dear; None: it is not, or has no budget."""

    @property
    def placed(self) -> bool:
        """Whether every pod has a place, and none a place that it must not have."""
        return not self.proof.problems

    @property
    def affordable(self) -> bool:
        """Whether the plan keeps to its budget."""
        return self.budget is None

    @property
    def deployable(self) -> bool:
        """Whether nothing speaks against deploying it."""
        return self.placed and self.affordable

    def verdict(self) -> str:
        """Each problem in a line, or that there is none, and the price."""
        return "\n".join([*self._placement(), f"cost: {cost_report.summary(self.costs)}", *self._budget()])

    def text(self) -> str:
        """Where each pod can land, what everything costs, and what is wrong with either."""
        parts = ["Where each pod can land", placement.table(self.proof), *self._placement(), ""]
        return "\n".join([*parts, cost_report.table(self.costs), *self._budget()])

    def _placement(self) -> list[str]:
        lines = [f"placement problem: {problem}" for problem in self.proof.problems]
        if self.placed:
            pods = {placed.pod.name for placed in self.proof.placements}
            groups = {placed.group.name for placed in self.proof.placements}
            lines = [f"placement: no problem with {len(pods)} kinds of pods and {len(groups)} node groups; only tasks can land on Spot"]
        return [*lines, *(f"not judged: {reason}" for reason in self.proof.undecided)]

    def _budget(self) -> list[str]:
        return [f"over budget: {self.budget}"] if self.budget else []


def review(
    plan: Sequence[PlannedResource],
    *,
    region: str,
    monthly_usd: int = NO_BUDGET,
    fallback: placement.Fallback = "none",
) -> Review:
    """Price a plan with the dated table and prove where its pods can land.

    Args:
        plan: the planned resources.
        region: whose prices count.
        monthly_usd: budget of a month; `NO_BUDGET` for none.
        fallback: whether workers may overflow to On-Demand groups that carry the workers' taint.
    """
    read = readable_plan(plan)
    costs = estimate(read, dated_prices(region))
    return Review(
        costs=costs,
        proof=placement.prove(read, MACHINES, fallback=fallback),
        budget=None if monthly_usd == NO_BUDGET else over_budget(costs, monthly_usd),
    )
