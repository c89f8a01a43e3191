"""The report as a file: what is in it, that its figures add up, and what it says when something is missing (row C10).

How it looks is the engine tier's, in a real browser.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cost_estimate import estimate
from components.cost_prices import dated_prices
from embedded.cloud import CloudError
from embedded.report import last_drill, writable
from operations.plan_review import review
from operations.report import render
from operations.report_cost import split, to_the_cent
from operations.report_drill import clock, read_drill
from operations.report_graph import SHEETS, draw
from operations.resource_graph import Group, grouped, in_order, read_saved_plan, without_shortcuts
from tests.conftest import PROJECT
from tests.unit import report_example as example
from tests.unit.cost_plan import PLAN, PRODUCTION
from tests.unit.test_component_contract import _imports

COSTS = estimate(PLAN, dated_prices("us-west-2"))
amounts = st.lists(st.decimals(min_value=0, max_value=10_000, places=6), max_size=30)


class Page(HTMLParser):
    """Element names with their attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(example.report()))


def test_the_page_has_its_four_sections_each_with_a_heading(page: Page) -> None:
    assert [section["id"] for section in page.all("section")] == ["cost", "placement", "architecture", "drill"]
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert {section["aria-labelledby"] for section in page.all("section")} <= ids


def test_the_page_is_complete_in_itself(page: Page) -> None:
    loads = [attributes.get(name) for _, attributes in page.tags for name in ("src", "href", "srcset", "data") if attributes.get(name)]
    assert all(str(one).startswith(("#", "data:")) for one in loads), loads
    assert not page.all("script")
    assert "@import" not in page.text
    assert not re.search(r"url\((?!#)", page.text)


def test_every_picture_has_a_title_and_a_description(page: Page) -> None:
    ids = {attributes.get("id") for _, attributes in page.tags}
    pictures = page.all("svg")
    assert len(pictures) == 3 + len(SHEETS) + 1
    for picture in pictures:
        assert picture["role"] == "img"
        assert set(str(picture["aria-labelledby"]).split()) <= ids
    assert len(ids - {None}) == sum(1 for _, attributes in page.tags if attributes.get("id")), "every id is used once"


def test_every_link_leads_somewhere(page: Page) -> None:
    ids = {f"#{attributes.get('id')}" for _, attributes in page.tags}
    assert {str(link["href"]) for link in page.all("a")} <= ids


def test_the_lines_of_the_price_table_add_up_to_its_total_to_the_cent() -> None:
    text = render(example.report())
    table = text[text.index('<table class="stack" id="prices">') :]
    table = table[: table.index("</table>")]
    lines, foot = table.split("<tfoot>")
    for column in ("As planned", "All On-Demand"):
        found = [Decimal(one) for one in re.findall(rf'data-label="{column}" data-usd="([\d.]+)"', lines)]
        total = re.findall(rf'data-label="{column}" data-usd="([\d.]+)"', foot)
        assert len(found) == len(COSTS.items)
        assert sum(found) == Decimal(total[0])


@given(amounts)
def test_rounded_amounts_add_up_to_the_rounded_sum_and_none_is_off_by_a_cent(given_amounts: list[Decimal]) -> None:
    rounded = to_the_cent(given_amounts)
    assert sum(rounded) == Decimal(sum(given_amounts)).quantize(Decimal("0.01"), "ROUND_HALF_UP")
    assert all(abs(one - amount) < Decimal("0.01") for one, amount in zip(rounded, given_amounts, strict=True))


@pytest.mark.parametrize("plan", [PLAN, PRODUCTION], ids=["dev", "prod"])
def test_the_split_is_the_estimate(plan: list[example.Any]) -> None:
    costs = estimate(plan, dated_prices("us-west-2"))
    found = split(costs)
    assert found.total == costs.total.cents("month")
    assert found.on_demand == costs.on_demand.cents("month")
    assert sum(part.planned for part in found.parts) == found.total
    assert found.scenarios[0].total == found.total
    assert found.scenarios[1].total == found.on_demand
    assert found.scenarios[2].total == costs.at_max.total.cents("month")
    assert [part.planned for part in found.parts] == sorted((part.planned for part in found.parts), reverse=True)


def test_a_region_without_prices_is_shown_as_unknown_never_as_nothing() -> None:
    text = Page(render(example.report(review=review(PLAN, region="mars-north-1")))).text
    assert "unknown" in text
    assert "unknown saved a month by Spot" in text
    assert "price unknown" in text


def test_problems_and_an_exceeded_budget_are_at_the_top() -> None:
    bad = review(PLAN, region="us-west-2", monthly_usd=1)
    broken = replace(bad, proof=replace(bad.proof, problems=("scheduler could land on Spot",)))
    text = Page(render(example.report(review=broken, resources=()))).text
    assert "Not drawn: the engine saves no dependencies" in text
    assert "Over budget." in text
    assert "✗ 1 placement problem" in text
    assert "scheduler could land on Spot" in text


def test_names_are_text_never_markup() -> None:
    evil = example.pod("<script>alert(1)</script>", "node")
    nodes = (replace(example.NODES_WITH_PODS[0], pods=(evil,)),)
    assert "<script" not in render(example.report(nodes=nodes))


def test_an_empty_plan_is_a_page_too() -> None:
    nothing = example.report(plan=[], resources=(), review=review([], region="us-west-2"), nodes=(), nodes_note="none", drill=None)
    text = Page(render(nothing)).text
    assert "The plan has no node group." in text
    assert "Not drawn: the plan has no resource." in text


def test_without_a_drill_or_a_cluster_the_page_says_so_and_how_to_get_them() -> None:
    note = last_drill(Path("/nonexistent/drill.json"), "dev")
    text = Page(render(example.report(drill=note[0], drill_note=note[1], nodes=(), nodes_note="No pods to show: it does not run."))).text
    assert "no drill yet" in text
    assert "make drill" in text
    assert "No pods to show: it does not run." in text


def test_the_drill_of_another_stack_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "drill.json"
    file.write_text(json.dumps(example.drill_record(stack="prod")))
    assert last_drill(file, "dev")[0] is None
    assert "run on stack prod" in last_drill(file, "dev")[1]
    assert last_drill(file, "prod")[0] is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "make drill"),
        ("[]", "no record of a drill"),
        ("{}", "lacks 'started'"),
        (json.dumps(example.drill_record(started="noon")), "'noon' is no time"),
    ],
)
def test_a_damaged_record_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "drill.json"
    file.write_text(text)
    with pytest.raises(CloudError, match=re.escape(words)) as refused:
        last_drill(file, "dev")
    assert str(file) in str(refused.value)


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing" / "report.html"):
        with pytest.raises(CloudError, match="--output"):
            writable(place)


def test_a_drill_is_read_with_its_tries_and_its_verdicts() -> None:
    drill = read_drill(example.drill_record())
    assert [(task.name, len(task.tries), task.interrupted) for task in drill.tasks] == [
        ("spot_fan_out work[0]", 2, True),
        ("spot_fan_out work[1]", 1, False),
        ("spot_fan_out gather", 1, False),
    ]
    assert [one.outcome for task in drill.tasks for one in task.tries] == ["bad", "good", "good", "other"]
    assert drill.tasks[2].tries[0].end == 125, "a try without an end lasts to the last thing recorded"
    assert [(row.what, len(row.seconds)) for row in drill.rows] == [("notice", 1), ("pod gone", 2), ("run finished", 1)]
    assert (drill.begin, drill.seconds, drill.percent(drill.begin), drill.percent(drill.seconds)) == (-10, 125, 0, 100)
    assert [verdict.name for verdict in drill.judged] == ["tasks lost"]
    assert drill.held


def test_the_example_record_of_make_drill_is_read() -> None:
    drill = read_drill(json.loads((PROJECT / "tests" / "unit" / "fixtures" / "drill.json").read_text()))
    assert drill.judged
    assert drill.tasks
    assert min(drill.percent(event.seconds) for event in drill.events) >= 0


def test_a_drill_without_a_limit_proves_nothing_and_one_broken_limit_is_enough() -> None:
    assert not read_drill(example.drill_record(verdicts=[])).held
    lost = {"name": "tasks lost", "value": None, "limit": 0, "held": False}
    drill = read_drill(example.drill_record(verdicts=[lost]))
    assert not drill.held
    assert "✗ drill failed" in Page(render(example.report(drill=drill))).text


@pytest.mark.parametrize(("seconds", "text"), [(0, "+0:00"), (65.4, "+1:05"), (-20, "−0:20"), (3600, "+60:00")])
def test_times_count_from_the_blow(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_resources_are_grouped_by_their_component_and_shortcuts_are_left_out() -> None:
    groups = grouped(read_saved_plan(example.SAVED_PLAN))
    assert [(group.title, len(group.resources), sorted(group.needs)) for group in groups] == [
        ("Network", 2, []),
        ("Cluster", 2, ["airflow-on-eks:index:Network"]),
        ("SpotNodeGroup", 2, ["airflow-on-eks:index:Cluster"]),
        ("Topic", 1, []),
    ]
    assert groups[0].kinds == {"aws:ec2/vpc:Vpc": 1}, "the component itself is not a resource of its own"


def test_a_file_that_is_no_plan_is_refused() -> None:
    with pytest.raises(ValueError, match="resourcePlans"):
        read_saved_plan({})


def test_needs_that_follow_from_others_are_left_out() -> None:
    assert without_shortcuts({"a": [], "b": ["a"], "c": ["b", "a"], "d": ["c", "a"]}) == {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"c"}}


def test_a_loop_still_has_an_order() -> None:
    assert sorted(in_order("abc", {"a": ["b"], "b": ["c"], "c": ["a"]})) == ["a", "b", "c"]


def groups_of(needs: dict[int, set[int]]) -> tuple[Group, ...]:
    return tuple(
        Group(type=f"p:m:T{key}", names=("x",), resources=(), needs=frozenset(f"p:m:T{one}" for one in needed))
        for key, needed in sorted(needs.items())
    )


graphs = st.integers(1, 12).flatmap(
    lambda size: st.fixed_dictionaries(
        {key: st.sets(st.integers(0, key - 1), max_size=3) if key else st.just(set()) for key in range(size)}
    )
)


@pytest.mark.parametrize("name", SHEETS)
@hypothesis.settings(max_examples=30, deadline=None)
@given(needs=graphs)
def test_cards_are_on_the_sheet_apart_and_below_what_they_need(name: str, needs: dict[int, set[int]]) -> None:
    sheet = SHEETS[name]
    drawing = draw(groups_of(needs), sheet)
    cards = {card.group.type: card for card in drawing.cards}
    assert len(cards) == len(needs)
    assert len(drawing.paths) == sum(map(len, needs.values()))
    for card in cards.values():
        assert 0 <= card.x <= card.x + card.width <= drawing.width
        assert 0 <= card.y <= card.y + card.height <= drawing.height
        for needed in card.group.needs:
            assert cards[needed].y + cards[needed].height < card.y
    boxes = sorted(cards.values(), key=lambda card: (card.y, card.x))
    for one, other in ((a, b) for a in boxes for b in boxes if a is not b and a.y <= b.y < a.y + a.height):
        assert one.x + one.width <= other.x or other.x + other.width <= one.x


def test_the_report_knows_nothing_of_pulumi() -> None:
    for module in ("report", "report_cost", "report_drill", "report_graph", "resource_graph"):
        file = PROJECT / "operations" / f"{module}.py"
        assert not any(found.split(".")[0] == "pulumi" for found in _imports(file)), module


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_the_contrast_that_wcag_asks_for(scheme: str) -> None:
    style = (PROJECT / "operations" / "report.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", light))
    colours |= dict(re.findall(r"--([\w-]+): (#\w{6})", dark)) if scheme == "dark" else {}

    def contrast(one: str, other: str) -> float:
        pair = sorted((luminance(colours[one]), luminance(colours[other])))
        return (pair[1] + 0.05) / (pair[0] + 0.05)

    for text in ("ink", "soft", "on-demand", "good", "bad"):
        assert min(contrast(text, ground) for ground in ("page", "card")) >= 4.5, text
    for shape in ("on-demand", "spot", "rest", "good", "bad", "other"):
        assert contrast(shape, "card") >= 3, shape
