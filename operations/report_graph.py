"""Where the report draws each group of resources and the lines between them: in layers, what is made first on top. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from operations.resource_graph import Group, short_type

SWEEPS = 8
"""How often the layers are put in order by their neighbours; more changes nothing on graphs of this size."""
KINDS = 6
"""Kinds of resources that a card names."""
PADDING = 12
TITLE, LINE = 44, 17
"""Heights in a card: its two head lines, each kind of resource."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """How much room there is, in pixels."""

    width: int
    columns: int
    """Most cards side by side."""
    card: int
    """Width of a card."""
    gap: int
    lane: int
    """Room for a line that passes between cards."""
    space: int
    """Height between layers."""


SHEETS = {
    "wide": Sheet(width=1040, columns=4, card=224, gap=34, lane=14, space=56),
    "medium": Sheet(width=560, columns=2, card=224, gap=30, lane=14, space=48),
    "narrow": Sheet(width=316, columns=1, card=232, gap=12, lane=10, space=40),
}


@dataclass(frozen=True, kw_only=True)
class Card:
    """A group of resources on the sheet."""

    group: Group
    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    """Its kinds of resources, the telling ones first."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Everything that is drawn."""

    width: int
    height: float
    cards: tuple[Card, ...]
    paths: tuple[str, ...]
    """SVG path data, each from what is needed to what needs it."""


@dataclass(eq=False)
class _Spot:
    """A place in a layer: a card, or a line on its way to a later layer."""

    group: Group | None
    width: float
    above: list[_Spot] = field(default_factory=list)
    below: list[_Spot] = field(default_factory=list)
    x: float = 0
    """Centre."""
    top: float = 0
    bottom: float = 0


def draw(groups: Sequence[Group], sheet: Sheet, *, telling: Sequence[str] = ()) -> Drawing:
    """Lay the groups out in layers.

    Args:
        groups: each after those that it needs.
        sheet: the room there is.
        telling: resource types that a card names first, such as those that cost money or run pods.
    """
    layers = _layers(groups, sheet)
    _order(layers)
    for layer in layers:
        _pack(layer, sheet)
    for _ in range(SWEEPS):
        for layer in [*layers[1:], *layers[-2::-1]]:
            _towards_neighbours(layer, sheet)
    left = min((spot.x - spot.width / 2 for layer in layers for spot in layer), default=0)
    right = max((spot.x + spot.width / 2 for layer in layers for spot in layer), default=0)
    width = max(sheet.width, round(right - left) + 2)  # many passing lines need more room: the page then scales the drawing down
    shift = (width - left - right) / 2
    cards = []
    y = 1.0
    for layer in layers:
        lines = {id(spot): card_lines(spot.group, telling) for spot in layer if spot.group}
        height = max((TITLE + PADDING + LINE * len(one) for one in lines.values()), default=0)
        for spot in layer:
            spot.x += shift
            spot.top, spot.bottom = y, y + height
            if spot.group:
                own = TITLE + PADDING + LINE * len(lines[id(spot)])
                spot.bottom = y + own
                x = spot.x - spot.width / 2
                cards.append(Card(group=spot.group, x=x, y=y, width=spot.width, height=own, lines=lines[id(spot)]))
        y += height + sheet.space
    return Drawing(width=width, height=y - sheet.space + 1, cards=tuple(cards), paths=tuple(_paths(layers)))


def card_lines(group: Group, telling: Sequence[str]) -> tuple[str, ...]:
    """The kinds of resources in a group, the telling ones first, the many next; the last line counts what is left out."""
    rank = {kind: number for number, kind in enumerate(telling)}
    kinds = sorted(group.kinds.items(), key=lambda kind: (rank.get(kind[0], len(rank)), -kind[1], kind[0]))
    shown = kinds if len(kinds) <= KINDS else kinds[: KINDS - 1]
    lines = [f"{count} × {short_type(kind)}" if count > 1 else short_type(kind) for kind, count in shown]
    if rest := sum(count for _, count in kinds[len(shown) :]):
        lines.append(f"and {rest} more")
    return tuple(lines)


def _layers(groups: Sequence[Group], sheet: Sheet) -> list[list[_Spot]]:
    depth: dict[str, int] = {}
    for group in groups:
        depth[group.type] = 1 + max((depth[other] for other in group.needs), default=-1)
    rows: list[list[_Spot]] = []
    at: dict[str, tuple[int, _Spot]] = {}
    for level in range(max(depth.values(), default=-1) + 1):
        members = [group for group in groups if depth[group.type] == level]
        for first in range(0, len(members), sheet.columns):
            rows.append([_Spot(group=group, width=sheet.card) for group in members[first : first + sheet.columns]])
            for spot in rows[-1]:
                assert spot.group
                at[spot.group.type] = (len(rows) - 1, spot)
    for group in groups:
        to, target = at[group.type]
        for needed in sorted(group.needs):
            start, last = at[needed]
            for row in range(start + 1, to):
                passing = _Spot(group=None, width=sheet.lane, above=[last])
                last.below.append(passing)
                rows[row].append(passing)
                last = passing
            last.below.append(target)
            target.above.append(last)
    return rows


def _order(layers: list[list[_Spot]]) -> None:
    """Put neighbours above each other, so that few lines cross."""

    def sort(layer: list[_Spot], neighbours: Callable[[_Spot], list[_Spot]], place: Mapping[int, float]) -> None:
        own = {id(spot): number for number, spot in enumerate(layer)}
        layer.sort(key=lambda spot: fmean([place[id(one)] for one in neighbours(spot)] or [own[id(spot)]]))

    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        sequence = layers if down else layers[::-1]
        for before, layer in itertools.pairwise(sequence):
            middle = (len(before) - 1) / 2  # places are counted from the middle: layers are centred
            place = {id(spot): number - middle for number, spot in enumerate(before)}
            sort(layer, (lambda spot: spot.above) if down else (lambda spot: spot.below), place)


def _pack(layer: list[_Spot], sheet: Sheet) -> None:
    used = sum(spot.width for spot in layer) + sheet.gap * (len(layer) - 1)
    x = (sheet.width - used) / 2
    for spot in layer:
        spot.x = x + spot.width / 2
        x += spot.width + sheet.gap


def _towards_neighbours(layer: list[_Spot], sheet: Sheet) -> None:
    """Move each place to the middle of its neighbours as far as the others and the sheet allow."""
    wanted = [fmean([one.x for one in (*spot.above, *spot.below)] or [spot.x]) for spot in layer]
    gap = sheet.gap if sum(1 for spot in layer if spot.group) > 1 else sheet.lane
    left = []  # as far left as each may stand, and as far right
    x = 1.0
    for spot in layer:
        left.append(x + spot.width / 2)
        x += spot.width + gap
    right = []
    x = sheet.width - 1.0
    for spot in reversed(layer):
        right.append(x - spot.width / 2)
        x -= spot.width + gap
    right.reverse()
    for index, spot in enumerate(layer):
        low = left[index] if not index else max(left[index], layer[index - 1].x + (layer[index - 1].width + spot.width) / 2 + gap)
        spot.x = max(low, min(wanted[index], right[index]))


def _paths(layers: list[list[_Spot]]) -> list[str]:
    paths = []
    for layer in layers:
        for spot in (one for one in layer if one.group):
            for child in sorted(spot.below, key=lambda one: one.x):
                x, y = _port(spot, spot.below, child), spot.bottom
                parts = [f"M{x:.1f},{y:.1f}"]
                previous, here = spot, child
                while True:
                    to_x = here.x if here.group is None else _port(here, here.above, previous)
                    middle = (y + here.top) / 2
                    parts.append(f"C{x:.1f},{middle:.1f} {to_x:.1f},{middle:.1f} {to_x:.1f},{here.top - (3 if here.group else 0):.1f}")
                    if here.group:
                        break
                    parts.append(f"V{here.bottom:.1f}")
                    x, y = to_x, here.bottom
                    previous, here = here, here.below[0]
                paths.append(" ".join(parts))
    return paths


def _port(spot: _Spot, neighbours: list[_Spot], neighbour: _Spot) -> float:
    """Where on a card's edge the line of one neighbour begins: in the neighbours' order, so that lines do not cross there."""
    ordered = sorted(neighbours, key=lambda one: one.x)
    step = min(36.0, spot.width * 0.7 / len(ordered))
    return spot.x + (ordered.index(neighbour) - (len(ordered) - 1) / 2) * step
