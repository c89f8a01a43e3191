"""What `make cost` answers. The plans are made up here; those of the shipped stacks are the engine tier's."""

from __future__ import annotations

import pytest

from components.cost_prices import dated_prices
from operations import cost_questions
from operations.cost_questions import MARK, MWAA_WORKERS, PricedStack, answer
from tests.conftest import PROJECT
from tests.unit.cost_plan import CORE, PLAN, PRODUCTION

DEV = PricedStack(name="dev", plan=PLAN, prices=dated_prices("us-west-2"))
PROD = PricedStack(name="prod", plan=PRODUCTION, prices=dated_prices("us-west-2"))


@pytest.mark.parametrize(
    ("question", "last"),
    [
        ({}, "394.25 a month"),
        ({"second": PROD}, "394.25 a month"),
        ({"workers": 10}, "639.30 a month"),
        ({"mwaa_hours": 24}, "394.25 a month"),
        ({"second": PROD, "workers": 10, "mwaa_hours": 8}, "639.30 a month"),
    ],
)
def test_c2_the_last_line_has_the_totals_of_what_was_asked(question, last):
    lines = answer(DEV, **question).splitlines()
    assert lines[-1].startswith("us-west-2, USD: ")
    assert lines[-1].endswith(last)
    assert max(map(len, lines)) <= 120


def test_two_stacks_stand_side_by_side_with_as_many_workers_each():
    text = answer(DEV, second=PROD, workers=4)
    assert text.splitlines()[0].split() == ["USD", "a", "month", "dev", "prod", "difference"]
    line = next(line for line in text.splitlines() if line.startswith("Spot workers ng-spot1"))
    assert line.split()[3:] == ["106.52", "106.52", "+0.00"]


def test_what_if_is_set_beside_the_plan_as_it_is():
    text = answer(DEV, workers=0)
    line = next(line for line in text.splitlines() if line.startswith("Spot workers ng-spot1"))
    assert line.split()[3:] == ["53.26", "0.00", "-53.26"]


def test_stacks_of_two_regions_are_said_to_be():
    london = PricedStack(name="london", plan=PLAN, prices=dated_prices("eu-west-2"))
    assert "different regions" in answer(DEV, second=london)
    assert "different regions" not in answer(DEV, second=PROD)


def test_mwaa_is_compared_for_the_same_hours_on_both_sides():
    whole, part = (answer(DEV, mwaa_hours=hours) for hours in (24, 8))
    assert "workers run 8 of 24 hours a day on both sides" in part
    rows = {line.split("  ")[1]: line.split()[-len(MWAA_WORKERS) :] for line in part.splitlines() if line.startswith(("  this", "  MWAA"))}
    assert len(rows["this stack"]) == len(MWAA_WORKERS)
    assert rows["this stack"][0] < whole.splitlines()[-4].split()[2], "fewer hours cost less"


@pytest.mark.parametrize(
    ("stack", "question"),
    [(DEV, {"workers": -1}), (DEV, {"mwaa_hours": 25}), (PricedStack(name="x", plan=CORE, prices=DEV.prices), {"workers": 2})],
)
def test_a_question_without_sense_is_refused(stack, question):
    with pytest.raises(ValueError, match="Spot"):
        answer(stack, **question)


def test_only_what_is_between_the_marks_is_rewritten():
    document = (PROJECT / cost_questions.DOCUMENT).read_text()
    made = cost_questions.rewritten(document, [DEV, PROD])
    assert made.partition(MARK)[0] == document.partition(MARK)[0]
    assert made.rpartition(MARK)[2] == document.rpartition(MARK)[2]
    assert "| 2 | 394.25 |" in made
    assert cost_questions.rewritten(made, [DEV, PROD]) == made


def test_a_document_without_marks_is_left_alone():
    with pytest.raises(ValueError, match="must have"):
        cost_questions.rewritten(f"only one {MARK}", [DEV])
