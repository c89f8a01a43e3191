"""Every policy over every planned resource: `check` for the findings, `examine` also for what was excepted or could not be decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from components.placement_plan import CONFIG_MAP
from components.planned import UNKNOWN, PlannedResource
from components.planned_values import known
from policies import (
    aws_cluster,
    aws_data,
    aws_drill,
    aws_network,
    cost_allocation,
    first_contact,
    kubernetes_objects,
    kubernetes_pods,
    placement,
)
from policies.exceptions import EXCEPTIONS
from policies.rules import POD, POLICIES, Plan, Policy, Subject

THEMES = (aws_cluster, aws_data, aws_network, aws_drill, kubernetes_pods, kubernetes_objects, placement, first_contact, cost_allocation)
"""Importing a theme registers its rules."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One rule broken by one resource."""

    policy: Policy
    resource: str
    """Kind and name."""
    detail: str = ""
    """Which part of it, where there are several."""

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        cites = f" [{' '.join(self.policy.cites)}]" if self.policy.cites else ""
        return f"{self.policy.id}: {self.resource}: {self.policy.message}{detail}. Fix: {self.policy.fix}{cites}"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of all rules."""

    findings: tuple[Finding, ...]
    excepted: tuple[tuple[Finding, str], ...]
    """Findings that the environment may have, with the reason."""
    undecided: tuple[tuple[str, str], ...]
    """(policy id, resource) that only the deployment can answer."""


def examine(plan: Sequence[PlannedResource], *, environment: str) -> Report:
    """All rules over a plan.

    Args:
        plan: the planned resources.
        environment: whose exceptions count: dev, staging or prod.

    Raises:
        ValueError: there is no such environment.
    """
    if environment not in EXCEPTIONS:
        raise ValueError(f"environment {environment!r} is none of {', '.join(EXCEPTIONS)}")
    read = Plan(plan, environment)
    findings, excepted = [], []
    # a ConfigMap's unknown text may be the worker template, which then no rule about pods has seen
    templates = [] if any(pod.pod and pod.pod.worker for pod in read.targets(POD)) else read.subjects(CONFIG_MAP)
    undecided = [("rules about pods", it.name) for it in templates if UNKNOWN in known(it.at("data"), dict, {"": it.at("data")}).values()]
    for rule in POLICIES.values():
        for subject, verdict in judged(rule, read):
            resource = subject.name
            if verdict is UNKNOWN:
                undecided.append((rule.id, resource))
            elif verdict is not None:
                finding = Finding(policy=rule, resource=resource, detail=verdict)
                reason = EXCEPTIONS[environment].get(rule.id)
                if reason is None:
                    findings.append(finding)
                else:
                    excepted.append((finding, reason))
    return Report(findings=tuple(findings), excepted=tuple(excepted), undecided=tuple(undecided))


def check(plan: Sequence[PlannedResource], *, environment: str) -> list[Finding]:
    """What must be put right before this plan may be deployed; arguments as for `examine`."""
    return list(examine(plan, environment=environment).findings)


def judged(rule: Policy, plan: Plan) -> Iterator[tuple[Subject, Any]]:
    """A rule's answer for each of its subjects: None when it holds, UNKNOWN, or a finding's detail (empty when there is one only)."""
    for subject in plan.targets(rule.target):
        verdict = rule.judge(subject)
        if isinstance(verdict, list):
            yield from ((subject, str(detail)) for detail in verdict) if verdict else [(subject, None)]
        else:
            yield subject, UNKNOWN if verdict is UNKNOWN else None if verdict else ""


def catalogue() -> str:
    """Every rule as a Markdown table, theme by theme; docs/security.md holds it."""
    parts = []
    for theme in THEMES:
        title = str(theme.__doc__).strip().rstrip(".")
        rows = [rule for rule in POLICIES.values() if rule.judge.__module__ == theme.__name__]
        parts.append(f"### {title}\n\n| rule | scanner ids | what is wrong without it | fix |\n|---|---|---|---|")
        parts[-1] += "".join(f"\n| `{rule.id}` | {' '.join(rule.cites) or 'ours'} | {rule.message} | {rule.fix} |" for rule in rows)
    exceptions = [
        f"| {environment} | `{rule}` | {reason} |" for environment, entries in EXCEPTIONS.items() for rule, reason in entries.items()
    ]
    parts.append("\n".join(["### Exceptions", "", "| environment | rule | reason |", "|---|---|---|", *exceptions]))
    return "\n\n".join(parts)


def render(report: Report) -> str:
    """The report as text; its last line is the count of findings."""
    lines = [str(finding) for finding in report.findings]
    lines += [f"excepted: {finding.policy.id}: {finding.resource}: {reason}" for finding, reason in report.excepted]
    if report.undecided:
        rules = sorted({rule for rule, _ in report.undecided})
        lines.append(f"not known before deployment: {len(report.undecided)} answers of {', '.join(rules)}")
    count = len(report.findings)
    return "\n".join([*lines, f"{count} finding{'' if count == 1 else 's'}"])
