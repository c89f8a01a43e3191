"""An estimate as a person reads it, 120 columns wide, and as data. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from components.cost_comparison import MwaaComparison, Row
from components.cost_estimate import CostEstimate
from components.cost_free import USE_NOT_PRICED
from components.cost_items import Item
from components.cost_money import CENT, HOURS, HOURS_PER_MONTH, Money
from components.cost_prices import CURRENCY, SOURCES

WIDTH = 120
TITLE = "What this plan costs"
"""How the table begins."""
LABEL = 30
QUANTITY = 29
FIGURES = (9, 8, 10, 9, 8, 10, 7)
"""Widths: hour, day and month as planned, the same On-Demand, share."""


def table(costs: CostEstimate) -> str:
    """The whole estimate; its last line has the totals."""
    return "\n".join([*_head(costs), *_rows(costs), "", *_spot(costs), *_notes(costs), "", summary(costs)])


def summary(costs: CostEstimate) -> str:
    """Region, currency and totals in one line."""
    day, on_demand, saving = (money.text("day") for money in (costs.total, costs.on_demand, costs.saving))
    return (
        f"{costs.prices.region}, {CURRENCY}: {day} a day with Spot, {on_demand} all On-Demand, saving {saving}{_percent(costs)}; "
        f"{costs.total.text('month')} a month"
    )


def as_data(costs: CostEstimate) -> dict[str, Any]:
    """Plain values for export: totals of a day on top, then the table. None is a figure that is not known."""
    peak = costs.at_max
    return {
        "currency": CURRENCY,
        "region": costs.prices.region,
        "with_spot": _figure(costs.total, "day"),
        "on_demand": _figure(costs.on_demand, "day"),
        "saving": _figure(costs.saving, "day"),
        "at_least": not costs.total.complete,
        "at_maximum": {"with_spot": _figure(peak.total, "day"), "on_demand": _figure(peak.on_demand, "day")},
        "per_month": {"with_spot": _figure(costs.total, "month"), "on_demand": _figure(costs.on_demand, "month")},
        "prices": costs.prices.origin,
        "price_dates": list(costs.price_dates),
        "items": [_item(item, costs) for item in costs.items],
        "spot": [
            {
                "group": pool.group,
                "instance_type": pool.instance_type,
                "hour": None if pool.spot is None else float(pool.spot),
                "on_demand_hour": None if pool.on_demand is None else float(pool.on_demand),
                "saving_percent": None if pool.saving_percent is None else int(pool.saving_percent),
                "interrupted": pool.band,
            }
            for pool in costs.pools
        ],
        "not_priced": {reason: sorted(one.resource.name for one in ones) for reason, ones in costs.reasons().items()},
        "warnings": list(costs.warnings),
        "assumptions": list(costs.assumptions.lines()),
        "sources": list(costs.sources),
    }


def day(data: Mapping[str, Any]) -> dict[str, Any]:
    """The totals of a day in what `as_data` made, and what is needed to read them."""
    return {key: data[key] for key in ("with_spot", "on_demand", "saving", "currency", "region", "at_least", "prices", "price_dates")}


def comparison(rows: Sequence[Row], first: str, second: str) -> str:
    """Two estimates side by side, by month, with the difference."""
    lines = [f"{'USD a month':{LABEL + QUANTITY}}{first:>18}{second:>18}{'difference':>18}"]
    total = Row(label="Total", first=Money.sum(row.first for row in rows), second=Money.sum(row.second for row in rows))
    for row in (*rows, total):
        change = Money(row.second.usd - row.first.usd, row.first.complete and row.second.complete)
        difference = "unknown" if not change.complete else f"{change.cents('month'):+,}"
        lines.append(
            f"{row.label[: LABEL + QUANTITY]:{LABEL + QUANTITY}}{row.first.text('month'):>18}{row.second.text('month'):>18}{difference:>18}"
        )
    return "\n".join(lines)


def mwaa(found: MwaaComparison) -> str:
    """The comparison with MWAA and what it takes for granted."""
    theirs = f"{found.mwaa.text('month')} ({found.environment_class} environment)"
    return "\n".join(
        [
            f"Amazon MWAA with the same {found.workers} worker(s), {CURRENCY} a month: {theirs}, this stack {found.ours.text('month')}",
            f"  each further worker {found.mwaa_per_worker.text('month')} there, {found.ours_per_worker.text('month')} here",
            f"  break-even: this stack is {found.verdict}",
            *_bullets("  assumed: ", found.assumptions),
        ]
    )


def _head(costs: CostEstimate) -> list[str]:
    scope = f"{HOURS_PER_MONTH} hours a month, before tax and discounts"
    return [
        f"{TITLE} in {costs.prices.region}, in {CURRENCY}; {scope}",
        f"Prices: {costs.prices.origin}",
        "",
        f"{'':{LABEL + QUANTITY}}{'as planned':>{sum(FIGURES[:3])}}{'all On-Demand':>{sum(FIGURES[3:6])}}",
        f"{'':{LABEL + QUANTITY}}"
        + "".join(f"{name:>{width}}" for name, width in zip(("hour", "day", "month") * 2 + ("share",), FIGURES, strict=True)),
    ]


def _rows(costs: CostEstimate) -> Iterable[str]:
    for item in costs.items:
        yield _row(item.label, item.quantity, item.cost, item.on_demand, "" if item.cost.unknown else f"{costs.share(item):.1f}%")
        peak = item.at_max
        if peak.count != item.count:
            yield _row("  at its maximum", peak.quantity, peak.cost, peak.on_demand, "")
    yield "-" * (LABEL + QUANTITY + sum(FIGURES))
    grown = costs.at_max
    yield _row("Total", "", costs.total, costs.on_demand, "" if costs.total.unknown else "100%")
    yield _row("Total, every group at its max", "", grown.total, grown.on_demand, "")
    yield f"Spot saves {costs.saving.text('month')} a month{_percent(costs)}; at the maximum {grown.saving.text('month')}{_percent(grown)}"


def _row(label: str, quantity: str, planned: Money, on_demand: Money, share: str) -> str:
    figures = [money.text(period, 4 if period == "hour" else 2) for money in (planned, on_demand) for period in HOURS]
    cells = "".join(f"{figure:>{width}}" for figure, width in zip((*figures, share), FIGURES, strict=True))
    return f"{_cut(label, LABEL)}{_cut(quantity, QUANTITY)}{cells}".rstrip()


def _spot(costs: CostEstimate) -> Iterable[str]:
    if costs.pools:
        yield f"Spot prices move and nodes are taken back; interrupted: share of nodes in the month before {SOURCES['A'].date}"
        yield _pool("group", "type", "Spot hour", "On-Demand", "saving", "interrupted", "price")
    for pool in costs.pools:
        spot, on_demand = ("unknown" if usd is None else f"{usd:.4f}" for usd in (pool.spot, pool.on_demand))
        saving = "" if pool.saving_percent is None else f"{pool.saving_percent}%"
        dated = f"average before {pool.date}" if pool.source.startswith("[A]") else pool.date and f"of {pool.date}"
        yield _pool(pool.group, pool.instance_type, spot, on_demand, saving, pool.band or "unknown", dated)
    yield from _bullets("  warning: ", costs.warnings)


def _pool(group: str, instance_type: str, spot: str, on_demand: str, saving: str, interrupted: str, dated: str) -> str:
    return f"  {_cut(group, 24)}{instance_type:16}{spot:>10}{on_demand:>11}{saving:>8}{interrupted:>13}  {dated}".rstrip()


def _notes(costs: CostEstimate) -> Iterable[str]:
    unknown = dict.fromkeys(
        line.removesuffix(": no price known")
        for item in costs.items
        for line in item.basis
        if not item.each.complete and " taken " not in line
    )
    taken = dict.fromkeys(note for item in costs.items for line in item.basis for note in re.findall(r"[^()]* taken as [^()]*", line))
    skipped = [f"{reason} ({len(ones)})" for reason, ones in costs.reasons().items()]
    yield from _paragraph("Assumed", (*costs.assumptions.lines(), *taken))
    yield from _paragraph("No price known, so totals say at least (>=)", unknown)
    yield from _paragraph(f"Without a price of their own, {len(costs.skipped)} resources", skipped)
    yield from _paragraph("Not in it", USE_NOT_PRICED)
    yield from _bullets("Source ", costs.sources)


def _paragraph(title: str, parts: Collection[str]) -> Iterable[str]:
    if parts:
        yield from _bullets("", [f"{title}: {'; '.join(parts)}"])


def _bullets(head: str, lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        yield textwrap.fill(
            line, WIDTH, initial_indent=head, subsequent_indent=" " * (len(head) - len(head.lstrip()) + 4), break_on_hyphens=False
        )


def _percent(costs: CostEstimate) -> str:
    if not costs.on_demand.usd or costs.saving.unknown:
        return ""
    return f" ({costs.saving.usd * 100 / costs.on_demand.usd:.0f}%{'' if costs.on_demand.complete else ' of what is known'})"


def _cut(text: str, width: int) -> str:
    return f"{text if len(text) < width else text[: width - 2] + '…':{width}}"


def _figure(money: Money, period: str) -> float | None:
    if money.unknown:
        return None
    places = Decimal("0.000001") if period == "hour" else CENT
    return float(money.per(period).quantize(places, ROUND_HALF_UP))


def _item(item: Item, costs: CostEstimate) -> dict[str, Any]:
    return {
        "label": item.label,
        "part": item.part,
        "count": float(item.count),
        "count_at_maximum": float(item.at_max.count),
        "unit": item.unit,
        **{f"{period}": _figure(item.cost, period) for period in HOURS},
        **{f"on_demand_{period}": _figure(item.on_demand, period) for period in HOURS},
        "month_at_maximum": _figure(item.at_max.cost, "month"),
        "at_least": not item.cost.complete,
        "share_percent": float(round(costs.share(item), 1)),
        "resources": list(item.resources),
        "basis": list(item.basis),
    }
