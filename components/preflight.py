"""The first step of a deployment: whether the account has what the stack will ask for, before anything is created.

A preview says what it found and goes on, so that a plan can be read without the account it is for; an update stops at a shortfall.
Why it is part of the program: docs/decisions/0005.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.preflight_aws import read
from components.preflight_plan import Wanted, wanted
from components.preflight_rules import Answers, Finding, Identity, judge
from components.settings import Settings


class PreflightError(pulumi.RunError):
    """The account lacks something that the stack needs; the message lists every shortfall with its fix."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What AWS said about a stack."""

    wanted: Wanted
    answers: Answers
    findings: tuple[Finding, ...]

    @property
    def shortfalls(self) -> int:
        """What has to be put right before a deployment can succeed."""
        return sum(finding.kind == "shortfall" for finding in self.findings)

    def text(self) -> str:
        """Every finding in a line, the worst first, and how many of which kind in the last."""
        who = self.answers.identity
        account = f"account {who.account} as {who.arn}" if isinstance(who, Identity) else "no account"
        kinds = ("shortfall", "note", "not asked")
        lines = [f"  {finding}" for finding in sorted(self.findings, key=lambda finding: kinds.index(finding.kind))]
        counts = ", ".join(f"{sum(finding.kind == kind for finding in self.findings)} {kind}" for kind in kinds)
        return "\n".join([f"preflight of stack {self.wanted.stack} in {self.wanted.region}, {account}:", *lines, f"  {counts}"])


def ask(settings: Settings, profile: str | None = None, roles: Sequence[str] = ()) -> Report:
    """Ask AWS about everything that the stack will need of it."""
    needs = wanted(settings)
    answers = read(needs, profile, roles)
    return Report(wanted=needs, answers=answers, findings=tuple(judge(needs, answers)))


def first_step(settings: Settings) -> None:
    """Ask AWS before the first resource, with the credentials of the program's AWS provider.

    Raises:
        PreflightError: an update of a stack that the account has no room for (setting preflight: refuse).
    """
    if settings.preflight == "skip":
        return
    aws = pulumi.Config("aws")
    roles = [role["roleArn"] for role in aws.get_object("assumeRoles") or [] if role.get("roleArn")]
    report = ask(settings, aws.get("profile"), roles)
    if report.shortfalls and settings.preflight == "refuse" and not pulumi.runtime.is_dry_run():
        raise PreflightError(f"{report.text()}\nnothing was created; put these right, or set preflight to warn")
    if report.findings:
        pulumi.log.warn(report.text())
