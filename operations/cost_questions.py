"""What `make cost` answers: one plan's price, two side by side, the same with other workers, and Amazon MWAA. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from components import cost_report
from components.cost_comparison import MWAA_VCPUS, MwaaComparison, compare, with_mwaa
from components.cost_estimate import CostEstimate, estimate, with_workers
from components.cost_prices import Prices
from components.planned import PlannedResource

MWAA_WORKERS = (1, 2, 4, 10, 20)
"""Numbers of workers that the comparison with MWAA tabulates."""
DOCUMENT = "docs/alternatives.md"
DOCUMENTED = ("dev", "prod")
"""Stacks that it compares with MWAA."""
MARK = "<!-- made by make cost-docs -->"
"""Stands before and after what is rewritten."""


@dataclass(frozen=True, kw_only=True)
class PricedStack:
    """A stack's plan and the prices of its region."""

    name: str
    plan: Sequence[PlannedResource]
    """Readable: the marks of secret and unknown values replaced."""
    prices: Prices

    @property
    def costs(self) -> CostEstimate:
        """The plan as it is."""
        return estimate(self.plan, self.prices)

    def resized(self, workers: int) -> CostEstimate:
        """The plan with that many Spot workers.

        Raises:
            ValueError: it has no Spot group, or the number is negative.
        """
        return estimate(with_workers(self.plan, workers), self.prices)


def answer(first: PricedStack, *, second: PricedStack | None = None, workers: int | None = None, mwaa_hours: int | None = None) -> str:
    """The text; its last line has the totals of what was asked about.

    Args:
        first: the stack.
        second: another one to set beside it.
        workers: Spot workers to plan with; beside the plan as it is when there is no second stack.
        mwaa_hours: compare with MWAA, whose and whose workers run that many hours a day; None: do not.

    Raises:
        ValueError: a number that makes no sense.
    """
    asked = first.costs if workers is None else first.resized(workers)
    parts = []
    if second is not None:
        other = second.costs if workers is None else second.resized(workers)
        parts += _side_by_side(first.name, asked, second.name, other)
    elif workers is not None:
        parts += _side_by_side(first.name, first.costs, f"{workers} workers", asked)
    else:
        parts.append(cost_report.table(asked))
    if mwaa_hours is not None:
        parts += ["", mwaa(asked, mwaa_hours)]
    if len(parts) > 1:
        parts += ["", cost_report.summary(asked)]
    return "\n".join(parts)


def mwaa(costs: CostEstimate, hours_per_day: int = 24) -> str:
    """A month with MWAA beside this stack, for several numbers of workers."""
    found = _comparisons(costs, hours_per_day)
    planned = sum((item.count for item in costs.items if item.spot), Decimal(0))
    as_planned = with_mwaa(costs, workers=max(1, int(planned)), hours_per_day=hours_per_day)
    rows = [("workers", [str(one.workers) for one in found]), ("this stack", [one.ours.text("month") for one in found])]
    rows.append((f"MWAA, {as_planned.environment_class}", [one.mwaa.text("month") for one in found]))
    lines = [f"  {name:22}" + "".join(f"{figure:>13}" for figure in figures) for name, figures in rows]
    return "\n".join([cost_report.mwaa(as_planned), *lines])


def mwaa_document(stacks: Sequence[PricedStack]) -> str:
    """The comparison as the Markdown table of docs/alternatives.md, with its smallest and largest break-even."""
    head, rule, rows, ends = "| workers |", "|---|", [f"| {workers} |" for workers in MWAA_WORKERS], "| break-even |"
    for stack in stacks:
        found = _comparisons(stack.costs)
        head += f" `{stack.name}` stack | MWAA {found[0].environment_class} |"
        rule += "---|---|"
        rows = [f"{row} {one.ours.text('month')} | {one.mwaa.text('month')} |" for row, one in zip(rows, found, strict=True)]
        ends += f" {found[0].verdict} | |"
    small = [with_mwaa(stack.costs, workers=1, environment_class=min(MWAA_VCPUS, key=lambda name: MWAA_VCPUS[name])) for stack in stacks]
    note = "; ".join(f"`{stack.name}` {one.verdict}" for stack, one in zip(stacks, small, strict=True))
    return "\n".join(
        [head, rule, *rows, ends, "", f"Against *{small[0].environment_class}* environments, with workers of half the size: {note}."]
    )


def rewritten(document: str, stacks: Sequence[PricedStack]) -> str:
    """The document with the comparison between its marks made anew.

    Raises:
        ValueError: it does not have the mark twice.
    """
    before, mark, rest = document.partition(MARK)
    _, second, after = rest.partition(MARK)
    if not (mark and second):
        raise ValueError(f"{DOCUMENT} must have {MARK} before and after the comparison with MWAA")
    return "\n".join([f"{before}{MARK}", mwaa_document(stacks), f"{MARK}{after}"])


def _comparisons(costs: CostEstimate, hours_per_day: int = 24) -> list[MwaaComparison]:
    return [with_mwaa(costs, workers=workers, hours_per_day=Decimal(hours_per_day)) for workers in MWAA_WORKERS]


def _side_by_side(first: str, left: CostEstimate, second: str, right: CostEstimate) -> list[str]:
    lines = [cost_report.comparison(compare(left, right), first, second), ""]
    lines += [f"{name}: {cost_report.summary(costs)}" for name, costs in ((first, left), (second, right))]
    if left.prices.region != right.prices.region:
        lines.append("the stacks are in different regions: the difference is also one of prices")
    return lines
