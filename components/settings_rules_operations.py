"""Rules for how a stack is run: autoscaler, hibernation, budget, and what production demands. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.settings_parser import Problem, camel
from components.settings_rule import matches, registered

if TYPE_CHECKING:
    from components import settings as kinds

AUTOSCALER_CHARTS = {"9.59.0": "1.35"}
"""Chart version to the Kubernetes version its autoscaler belongs to."""
MAIL = r"[^@\s]+@[^@\s]+\.[^@\s.]+"
"""AWS Budgets takes an address without confirming it: a typo would be noticed by nobody."""
PRODUCTION: tuple[tuple[str, str, str | int | bool, str], ...] = (
    ("network", "nat_gateways", "per-zone", "a single NAT gateway ties all zones to one"),
    ("network", "log_retention_days", 365, "audits look back a year"),
    ("cluster", "endpoint_public", False, "deploy from inside the VPC"),
    ("cluster", "log_retention_days", 365, "audits look back a year"),
    ("database", "multi_az", True, "a zone outage would stop Airflow"),
    ("database", "deletion_protection", True, "a destroy must be meant"),
    ("database", "final_snapshot", True, "a destroy must be reversible"),
    ("database", "backup_retention_days", 7, "mistakes are noticed days later"),
    ("database", "log_retention_days", 365, "audits look back a year"),
    ("storage", "backups", True, "logs and shared DAGs live there"),
    ("airflow.replicas", "api_server", 2, "every running task reports to it"),
    ("airflow.replicas", "scheduler", 2, "a node may fail"),
)
"""Section, field, what it must be (a number: at least), and why."""


@registered
def autoscaler_matches(autoscaler: kinds.AutoscalerSettings, cluster: kinds.ClusterSettings) -> Iterator[Problem]:
    """The autoscaler simulates the scheduler of its own Kubernetes version."""
    chart = autoscaler.chart_version
    yield from matches("autoscaler.chartVersion", chart, r"\d+\.\d+\.\d+", "is no chart version (9.59.0)")
    belongs = AUTOSCALER_CHARTS.get(chart, cluster.kubernetes_version)
    if autoscaler.enabled and belongs != cluster.kubernetes_version:
        rule = f"has the autoscaler of Kubernetes {belongs}, the cluster is {cluster.kubernetes_version}"
        yield Problem(setting="autoscaler.chartVersion", value=chart, rule=rule, only_warns=True)


@registered
def production_never_sleeps(environment: str, hibernation: kinds.HibernationSettings) -> Iterator[Problem]:
    """Starting a stopped database takes minutes, or hours."""
    if hibernation.allowed and environment == "prod":
        rule = "environment prod must be there at all times"
        yield Problem(setting="hibernation.allowed", value=True, rule=rule, way_out="set it to false, or environment to staging")


@registered
def budget_is_an_amount(budget: kinds.BudgetSettings) -> Iterator[Problem]:
    """Nothing costs less than nothing."""
    if budget.monthly_usd < 0:
        yield Problem(setting="budget.monthlyUsd", value=budget.monthly_usd, rule="must be >= 0", way_out="0 for no budget")
    yield from matches("budget.email", budget.email, MAIL, "is no mail address")
    if budget.email is not None and budget.monthly_usd == 0:
        way_out = "set budget.monthlyUsd, or remove budget.email"
        yield Problem(setting="budget.email", value=budget.email, rule="is to be told about which amount?", way_out=way_out)


@registered
def production_is_guarded(
    environment: str,
    network: kinds.NetworkSettings,
    cluster: kinds.ClusterSettings,
    database: kinds.DatabaseSettings,
    storage: kinds.StorageSettings,
    airflow: kinds.AirflowSettings,
) -> Iterator[Problem]:
    """What a stack must have before it may call itself prod."""
    if environment != "prod":
        return
    sections = {"network": network, "cluster": cluster, "database": database, "storage": storage, "airflow.replicas": airflow.replicas}
    for section, field, wanted, reason in PRODUCTION:
        value = getattr(sections[section], field)
        holds = value >= wanted if type(wanted) is int else value == wanted
        if not holds and not (section == "network" and network.vpc_id is not None):
            need = f"{wanted} or more" if type(wanted) is int else str(wanted).lower()
            rule = f"environment prod needs {need}: {reason}"
            yield Problem(setting=f"{section}.{camel(field)}", value=value, rule=rule, way_out="or set environment to staging")
