"""One self-contained HTML file about a stack: its cost split, where its pods land, what it is built from, its last drill. Pure.

The page needs no script, no font and no other file. Every picture has a title, a description and its figures as a table beside it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from components.cost_prices import CURRENCY
from components.placement import Placement
from components.placement_plan import CHART_RELEASE, NODE_GROUP, POD_SPECS, NodeGroup
from components.planned import PlannedResource
from components.planned_values import known
from operations.plan_review import Review
from operations.report_cost import split
from operations.report_drill import Drill, clock
from operations.report_graph import SHEETS, draw
from operations.resource_graph import GraphResource, Group, grouped, short_type, without_shortcuts

if TYPE_CHECKING:
    from operations.placement import NodePods

TEMPLATE = "report.html.j2"
NEEDS_SHOWN = 8
"""Resources that a row of the table names as needed; more are counted."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report is made from."""

    stack: str
    made: str
    """When, as it is shown."""
    plan: Sequence[PlannedResource]
    review: Review
    resources: Sequence[GraphResource]
    nodes: Sequence[NodePods] = ()
    """Nodes of the running cluster with the pods on them; pods without a node come last, under no name."""
    nodes_note: str = ""
    """Why there are none."""
    drill: Drill | None = None
    drill_note: str = ""
    """Why there is none."""


def render(report: Report) -> str:
    """The page."""
    groups = grouped(report.resources)
    telling = _telling(report)
    return _template().render(
        report=report,
        currency=CURRENCY,
        costs=report.review.costs,
        split=split(report.review.costs),
        matrix=matrix(report.review.proof.placements),
        groups=groups,
        places={group.type: number for number, group in enumerate(groups)},
        drawings={name: draw(groups, sheet, telling=telling) for name, sheet in SHEETS.items()},
        capacities={group.type: _capacity(group, report.plan) for group in groups},
        direct=_direct_needs(report.resources),
        needs_shown=NEEDS_SHOWN,
    )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"usd": usd, "percent": percent, "clock": clock, "short": short_type}
    return environment.get_template(TEMPLATE)


def usd(amount: Decimal, *, known: bool = True) -> str:
    """An amount to the cent; one of which a part has no known price says that it is at least so much."""
    return f"{'' if known else '≥ '}{amount:,.2f}"


def percent(value: Decimal | float, places: int = 1) -> str:
    """A share of a hundred with its sign; a thin space keeps them together."""
    return f"{value:.{places}f}\u202f%"


def matrix(placements: Sequence[Placement]) -> tuple[tuple[NodeGroup, ...], tuple[tuple[str, bool, tuple[Placement, ...]], ...]]:
    """Node groups, then for each pod its name, whether a task runs in it, and what keeps it off each group."""
    groups = sorted({one.group.name: one.group for one in placements}.values(), key=lambda group: (group.spot, group.name))
    rows: dict[str, dict[str, Placement]] = {}
    for placement in sorted(placements, key=lambda one: (one.pod.worker, one.pod.name)):
        rows.setdefault(placement.pod.name, {})[placement.group.name] = placement
    table = ((name, next(iter(cells.values())).pod.worker, tuple(cells[one.name] for one in groups)) for name, cells in rows.items())
    return tuple(groups), tuple(table)


def _telling(report: Report) -> tuple[str, ...]:
    """Types that a reader looks for in the graph: what holds nodes, costs money or runs pods."""
    priced = [one.partition(" ")[0] for item in report.review.costs.items for one in item.resources]
    return tuple(dict.fromkeys([NODE_GROUP, *POD_SPECS, CHART_RELEASE, *priced]))


def _capacity(group: Group, plan: Sequence[PlannedResource]) -> str:
    """Whether nodes of a group are bought as Spot or On-Demand: `spot`, `on-demand`, `both`, or empty for no nodes."""
    names = {resource.name for resource in group.resources if resource.type == NODE_GROUP}
    found = {known(one.inputs.get("capacityType"), str, "ON_DEMAND") for one in plan if one.type == NODE_GROUP and one.name in names}
    return "both" if len(found) > 1 else {"SPOT": "spot", "ON_DEMAND": "on-demand"}.get("".join(found), "")


def _direct_needs(resources: Sequence[GraphResource]) -> Mapping[str, list[GraphResource]]:
    by_urn = {resource.urn: resource for resource in resources}
    direct = without_shortcuts({resource.urn: resource.needs for resource in resources})
    return {urn: [by_urn[one] for one in sorted(needed, key=lambda one: (by_urn[one].type, one))] for urn, needed in direct.items()}
