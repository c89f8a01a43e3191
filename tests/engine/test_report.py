"""The report of a shipped stack in a real browser: nothing fails to load, nothing overflows, no text covers another (row C10).

Screenshots for people are left in tests/engine/screenshots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from embedded import report
from operations.report_drill import read_drill
from tests.browser import browser
from tests.engine.conftest import Preview
from tests.unit.report_example import NODES_WITH_PODS, drill_record

SCREENSHOTS = Path(__file__).parent / "screenshots"
SCREENS = {"light": ("light", 1280), "dark": ("dark", 1280), "tablet": ("light", 820), "phone": ("dark", 360)}
FLAWS = """() => {
    const found = [];
    if (document.documentElement.scrollWidth > innerWidth) found.push(`the page is ${document.documentElement.scrollWidth} wide`);
    for (const svg of [...document.querySelectorAll("svg")].filter(one => one.getBoundingClientRect().width)) {
        const frame = svg.closest("figure").getBoundingClientRect();
        const texts = [...svg.querySelectorAll("text")].filter(one => one.textContent.trim());
        const boxes = texts.map(one => [one.textContent.trim(), one.getBoundingClientRect()]);
        boxes.forEach(([text, box], number) => {
            if (box.left < frame.left || box.right > frame.right || box.top < frame.top || box.bottom > frame.bottom)
                found.push(`"${text}" leaves its frame`);
            if (box.height < 10) found.push(`"${text}" is ${box.height} high`);
            for (const [other, its] of boxes.slice(number + 1))
                if (Math.min(box.right, its.right) - Math.max(box.left, its.left) > 1
                        && Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top) > 3)
                    found.push(`"${text}" covers "${other}"`);
        });
    }
    return found;
}"""
"""What a person would see as broken: JavaScript that runs in the page."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def file(previewed: Callable[[str], Preview], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    plan = previewed("prod").plan
    assert {(one.type, one.name) for one in plan.graph} == {
        (one.type, one.name) for one in plan.resources if not one.type.startswith(("pulumi:pulumi:Stack", "pulumi:providers:"))
    }, "the graph has the plan's resources and no other"
    report.write(folder / "report.html", plan, (read_drill(drill_record()), ""), (NODES_WITH_PODS, ""))
    return folder / "report.html"


def opened(chromium: Browser, file: Path, screen: str) -> tuple[Page, list[str]]:
    scheme, width = SCREENS[screen]
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    return page, said


@pytest.mark.parametrize("screen", SCREENS)
def test_the_report_reads_well_on_every_screen(chromium: Browser, file: Path, screen: str) -> None:
    page, said = opened(chromium, file, screen)
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"report-{screen}.png", full_page=True)
    assert page.evaluate(FLAWS) == []
    for heading in ("What it costs", "Where pods land", "What it is built from", "Spot drill"):
        assert page.get_by_role("heading", name=heading).is_visible()
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate(FLAWS) == [], "with every table open"
    assert said == [], "a page that is complete in itself asks for nothing and complains of nothing"
    page.close()


def test_dark_and_light_differ(chromium: Browser, file: Path) -> None:
    colours = set()
    for screen in ("light", "dark"):
        page, _ = opened(chromium, file, screen)
        colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert len(colours) == 2


def test_a_box_of_the_graph_leads_to_its_resources(chromium: Browser, file: Path) -> None:
    page, _ = opened(chromium, file, "light")
    page.locator("svg.wide").get_by_role("link", name="AirflowDatabase: its resources").click()
    table = page.locator("details:target")
    assert "AirflowDatabase" in table.locator("summary").inner_text()
    assert table.evaluate("one => one.getBoundingClientRect().top < innerHeight")
    page.close()
