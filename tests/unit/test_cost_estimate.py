"""What a plan costs. Proves the arithmetic and that nothing of a plan is forgotten; not that AWS's prices are still those of the table."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cost_estimate import better_types, estimate, over_budget, with_workers
from components.cost_free import NOT_PRICED, not_priced
from components.cost_items import Assumptions, number
from components.cost_nodes import node_price
from components.cost_prices import Prices, dated_prices
from components.cost_resources import PRICED
from components.efs_driver import STARTUP_TAINT
from components.planned import UNKNOWN
from tests.unit.cost_plan import CORE, OVERFLOW, PLAN, PRODUCTION, SPOT, database, network, node_group, resource

OREGON = dated_prices("us-west-2")


def cents(text: str) -> Decimal:
    return Decimal(text)


def line(costs, label):
    return next(item for item in costs.items if item.label == label)


@pytest.mark.parametrize("plan", [PLAN, PRODUCTION], ids=["development", "production"])
def test_every_resource_of_a_plan_is_priced_or_has_a_reason(plan):
    costs = estimate(plan, OREGON)
    in_items = {name for item in costs.items for name in item.resources}
    with_reason = {f"{one.resource.type} {one.resource.name}" for one in costs.skipped}
    everything = {f"{one.type} {one.name}" for one in plan}
    assert in_items == everything - with_reason, "the priced set is the plan without what has a reason"
    assert not in_items & with_reason
    assert costs.unlisted == (), "a type that is in neither table is a mistake of ours"


def test_what_container_insights_cost_is_said_to_be_unknown():
    reasons = {one.resource.name: one.reason for one in estimate(PLAN, OREGON).skipped}
    assert reasons["airflow-insights-add-on"].startswith("Container Insights is billed by observation")
    assert reasons["airflow-kube-proxy"] == "runs on nodes that are priced"


def test_no_type_is_both_priced_and_free():
    assert not [resource_type for resource_type in PRICED if not_priced(resource_type)]
    assert all(NOT_PRICED.values())


def test_a_type_nobody_decided_about_is_unknown_and_never_free():
    costs = estimate([*PLAN, resource("aws:sagemaker/domain:Domain", "surprise")], OREGON)
    assert [one.name for one in costs.unlisted] == ["surprise"]
    assert line(costs, "aws:sagemaker/domain:Domain").cost.unknown
    assert not costs.total.complete, "a total without it can only say at least"


def test_the_lab_in_london_costs_533_a_day():
    two = node_group("lab", capacity="ON_DEMAND", types=["m5.large"], sizes=(2.0, 2.0, 2.0))
    nodes = line(estimate(two, dated_prices("eu-west-2")), "Core nodes lab")
    assert nodes.cost.cents("day") == cents("5.33")
    assert nodes.cost.per("day") == Decimal("5.328")


@pytest.mark.parametrize(
    ("label", "month", "on_demand"),
    [
        ("EKS control plane", "73.00", "73.00"),
        ("Core nodes ng-on-demand", "140.16", "140.16"),
        ("Disks of ng-on-demand", "8.00", "8.00"),
        ("Spot workers ng-spot1", "53.26", "140.16"),
        ("NAT gateway", "32.85", "32.85"),
        ("NAT data", "2.25", "2.25"),
        ("Public addresses", "3.65", "3.65"),
        ("Interface endpoints", "21.90", "21.90"),
        ("Load balancer airflow", "16.86", "16.86"),
        ("RDS PostgreSQL", "23.36", "23.36"),
        ("RDS storage", "2.30", "2.30"),
        ("EFS storage", "6.00", "6.00"),
        ("CloudWatch logs, taken in", "1.00", "1.00"),
        ("KMS keys", "1.00", "1.00"),
    ],
)
def test_a_line_of_the_development_stack(label, month, on_demand):
    item = line(estimate(PLAN, OREGON), label)
    assert (item.cost.cents("month"), item.on_demand.cents("month")) == (cents(month), cents(on_demand))


def test_totals_are_the_sums_of_their_lines_to_the_last_digit():
    costs = estimate(PLAN, OREGON)
    assert costs.total.usd == sum(item.cost.usd for item in costs.items)
    assert costs.saving.usd == costs.on_demand.usd - costs.total.usd
    assert sum(costs.share(item) for item in costs.items) == pytest.approx(Decimal(100))
    assert sum(money.usd for money in costs.by_part().values()) == costs.total.usd


def test_two_zones_double_the_database_and_its_storage():
    costs = estimate(database("db.m7g.large", multi_az=True, storage=100.0), OREGON)
    assert line(costs, "RDS PostgreSQL").cost.cents("month") == cents("245.28")
    assert line(costs, "RDS storage").cost.cents("month") == cents("23.00")


def test_a_gateway_in_each_zone_is_counted_and_its_data_is_not_tripled():
    costs = estimate(network(3), OREGON)
    assert line(costs, "NAT gateway").cost.cents("month") == cents("98.55")
    assert line(costs, "NAT data").count == Assumptions().nat_gb


def test_an_internet_facing_load_balancer_pays_for_an_address_in_each_zone():
    service = resource(
        "kubernetes:core/v1:Service",
        "web",
        spec={"type": "LoadBalancer"},
        metadata={"annotations": {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}},
    )
    assert line(estimate([service, *network()], OREGON), "Load balancer addresses").cost.cents("month") == cents("10.95")


def test_a_load_balancer_of_the_old_kind_has_no_price_known():
    service = resource("kubernetes:core/v1:Service", "web", spec={"type": "LoadBalancer"})
    assert line(estimate([service], OREGON), "Load balancer web").cost.unknown


def test_an_idle_overflow_group_costs_nothing_until_it_grows():
    costs = estimate(OVERFLOW, OREGON)
    assert costs.total.usd == 0
    assert costs.total.complete
    assert costs.at_max.total.cents("month") == cents("148.16")


def test_core_nodes_that_begin_with_a_passing_taint_are_core_nodes():
    taints = [{"key": STARTUP_TAINT, "effect": "NO_EXECUTE"}]
    core = node_group("lab", capacity="ON_DEMAND", types=["m5.large"], sizes=(1.0, 1.0, 1.0), taints=taints)
    assert line(estimate(core, dated_prices("us-west-2")), "Core nodes lab").part == "core"


def test_no_nodes_cost_nothing_even_at_a_price_nobody_knows():
    group = node_group("none", capacity="SPOT", types=["x99.large"], sizes=(0.0, 0.0, 3.0), disk=0.0)
    costs = estimate(group, OREGON)
    assert costs.total.complete
    assert costs.at_max.total.unknown, "three of them cost something"


def test_a_spot_group_costs_what_its_dearest_type_does_on_both_sides():
    spot, on_demand, _, reference = node_price(["m5a.large", "m5.large", "m4.large"], True, OREGON)
    assert reference == "m5.large"
    assert spot.per("hour") == Decimal("0.096") * 38 / 100
    assert on_demand.per("hour") == Decimal("0.096")


def test_an_on_demand_group_costs_what_its_first_type_does():
    assert node_price(["m5a.large", "m5.large"], False, OREGON)[0].per("hour") == Decimal("0.086")


def test_a_type_without_a_price_makes_the_group_cost_at_least_so_much():
    group = node_group("mixed", capacity="SPOT", types=["m5.large", "x99.large"], sizes=(1.0, 1.0, 1.0))
    costs = estimate(group, OREGON)
    assert costs.total.text("month").startswith(">=")
    assert not costs.saving.complete
    assert any("x99.large" in warning for warning in costs.warnings)


def test_services_of_another_region_are_unknown_and_not_those_of_virginia():
    costs = estimate(PLAN, dated_prices("eu-west-2"))
    assert line(costs, "EKS control plane").cost.unknown
    assert line(costs, "RDS PostgreSQL").cost.unknown
    assert not line(costs, "Core nodes ng-on-demand").cost.unknown


def test_a_region_without_prices_says_which_regions_have_some():
    costs = estimate(PLAN, dated_prices("ap-south-1"))
    assert "eu-west-2" in costs.warnings[0]
    assert not costs.total.complete


def test_a_type_in_the_worst_band_is_named_with_better_ones_of_its_shape():
    group = node_group("big", capacity="SPOT", types=["m5a.xlarge", "m5d.xlarge"], sizes=(0.0, 1.0, 1.0))
    warning = next(text for text in estimate(group, OREGON).warnings if "worst band" in text)
    assert "m5a.xlarge" in warning
    assert "better of the same shape: m5n.xlarge (<5%, 0.1190 an hour), m4.xlarge (<5%," not in warning, "the cheapest of a band first"
    assert "m4.xlarge (<5%, 0.0880 an hour), m5n.xlarge (<5%, 0.1190 an hour)" in warning
    assert "m5d" not in warning.partition("better")[2], "what the group has already is no advice"


def test_better_types_have_the_same_shape():
    found = better_types("m5.large", set(), OREGON)
    assert "xlarge" not in found
    assert not any(other in found for other in ("m6g.", "m7g.", "t3."))


def test_a_claim_is_free_on_the_shared_file_system_and_unknown_on_a_volume_of_its_own():
    shared = resource("kubernetes:core/v1:PersistentVolumeClaim", "logs", spec={"accessModes": ["ReadWriteMany"]})
    own = resource("kubernetes:core/v1:PersistentVolumeClaim", "cache", spec={"accessModes": ["ReadWriteOnce"]})
    costs = estimate([shared, own], OREGON)
    assert [one.resource.name for one in costs.skipped] == ["logs"]
    assert line(costs, "Volume cache").cost.unknown


def test_disks_come_from_the_launch_template_of_the_same_parent():
    assert line(estimate([*CORE, *SPOT], OREGON), "Disks of ng-spot1").unit == "50 GB gp3"


def test_a_disk_that_no_template_of_the_plan_explains_is_unknown():
    group = replace(SPOT[1], parent="elsewhere")
    assert line(estimate([group, SPOT[0]], OREGON), "Disks of ng-spot1").cost.unknown


def test_a_group_whose_size_is_not_known_yet_is_unknown():
    group = replace(SPOT[1], inputs={**SPOT[1].inputs, "scalingConfig": UNKNOWN})
    costs = estimate([SPOT[0], group], OREGON)
    assert costs.total.unknown
    assert costs.at_max.total.unknown


@pytest.mark.parametrize("value", [UNKNOWN, None, True, "many", float("nan"), float("inf"), -1, [2]])
def test_what_is_no_number_is_not_known(value):
    assert number(value) is None


def test_a_budget_that_is_kept_says_nothing():
    assert over_budget(estimate(PLAN, OREGON), 395) is None


def test_a_budget_that_is_exceeded_names_the_three_largest_items():
    message = over_budget(estimate(PRODUCTION, OREGON), 500)
    assert message is not None
    assert "709.87 USD a month in us-west-2, 209.87 more than the budget of 500.00 (setting budget.monthlyUsd)" in message
    assert message.index("RDS PostgreSQL 245.28") < message.index("Core nodes ng-on-demand 140.16") < message.index("NAT gateway 98.55")
    assert message.count(" x ") == 3


def test_an_exceeded_budget_with_unknown_prices_says_at_least():
    assert "costs at least" in (over_budget(estimate(PLAN, dated_prices("eu-west-2")), 1) or "")


@pytest.mark.parametrize("budget", [0, -5, "much", float("nan"), float("inf")])
def test_a_budget_that_is_no_amount_is_refused(budget):
    with pytest.raises(ValueError, match=r"budget\.monthlyUsd must be a positive amount"):
        over_budget(estimate(PLAN, OREGON), budget)


@given(workers=st.integers(0, 500), groups=st.integers(1, 5))
def test_what_if_spreads_exactly_the_workers_asked_for(workers, groups):
    plan = [one for index in range(groups) for one in node_group(f"ng{index}", capacity="SPOT", types=["m5.large"], sizes=(0.0, 1.0, 4.0))]
    sizes = [one.inputs["scalingConfig"] for one in with_workers(plan, workers) if one.type.endswith(":NodeGroup")]
    assert sum(size["desiredSize"] for size in sizes) == workers
    assert max(size["desiredSize"] for size in sizes) - min(size["desiredSize"] for size in sizes) <= 1
    assert all(size["maxSize"] >= size["desiredSize"] for size in sizes)


@pytest.mark.parametrize(("plan", "workers"), [(PLAN, -1), (CORE, 2)])
def test_what_if_without_sense_is_refused(plan, workers):
    with pytest.raises(ValueError, match="Spot workers"):
        with_workers(plan, workers)


@given(
    sizes=st.tuples(st.integers(0, 50), st.integers(0, 50)),
    types=st.lists(st.sampled_from([*OREGON.spot, "x99.large"]), min_size=1, max_size=4, unique=True),
    disk=st.integers(1, 500),
)
def test_spot_never_costs_more_than_on_demand_at_the_dated_prices_and_max_never_less_than_desired(sizes, types, disk):
    desired, more = sizes
    group = node_group("ng", capacity="SPOT", types=types, sizes=(0.0, float(desired), float(desired + more)), disk=float(disk))
    costs = estimate(group, OREGON)
    assert costs.total.usd <= costs.on_demand.usd
    assert costs.at_max.total.usd >= costs.total.usd
    assert costs.total.complete == ("x99.large" not in types or desired == 0)
    assert costs.saving.usd == costs.on_demand.usd - costs.total.usd


@given(count=st.integers(0, 1000), price=st.decimals(Decimal("0.0001"), Decimal(100), places=5))
def test_twice_the_nodes_cost_twice_as_much(count, price):
    usd = OREGON.on_demand["m5.large"]
    prices = Prices(region="us-west-2", on_demand={"m5.large": replace(usd, usd=price)})
    one, two = (
        estimate(node_group("ng", capacity="ON_DEMAND", types=["m5.large"], sizes=(0.0, float(size), float(size))), prices).items[0].cost
        for size in (count, 2 * count)
    )
    assert two.usd == 2 * one.usd
    assert one.per("hour") == price * count
