"""What may move from one stack to the next, and what must not. Pure.

A promotion moves three values together, because they were tested together: the image by its digest, its Airflow version, and the Kubernetes
version. They only move forward, one minor version at a time, and only to a stack that keeps the rules of its environment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from components import settings_rules
from components.preflight_plan import ECR_IMAGE
from components.settings_parser import MISSING, Problem

ENVIRONMENTS = ("dev", "staging", "prod")
"""In the order in which a release passes through them."""
DOCUMENTATION_ACCOUNT = "111122223333"
"""Account that AWS's documentation and the shipped stack files use; nothing in it is anybody's."""
IMAGE = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What a stack says that it runs: its outputs and its last update."""

    image: str = ""
    """`repository@sha256:...`; empty: the stack is not deployed."""
    airflow: str = ""
    kubernetes: str = ""
    last_update: str = ""
    """Kind and result of the last update (`update succeeded`); empty: there was none."""
    commit: str = ""
    """Commit that the program of the last update was taken from."""
    dirty: bool = False
    """Whether that program had changes that were in no commit."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One side of a promotion."""

    name: str
    environment: str
    deployed: Deployed


def changes(deployed: Deployed) -> dict[str, str]:
    """Settings of the target that say what runs in the source, by dotted name."""
    return {"image.digest": deployed.image, "airflow.version": deployed.airflow, "cluster.kubernetesVersion": deployed.kubernetes}


def refusals(source: Stack, target: Stack, *, uncommitted: Sequence[str], digest: str, between: Sequence[str]) -> list[str]:
    """Why the source's release must not move to the target; empty when it may.

    Args:
        source: where the release runs.
        target: where it shall run.
        uncommitted: paths of the working tree with changes that are in no commit.
        digest: the digest that is meant to move (`sha256:...`); empty: whichever the source runs.
        between: stacks of an environment between the two.
    """
    found = [*_order(source, target, between)]
    if uncommitted:
        found.append(f"the working tree has changes that are in no commit ({', '.join(uncommitted)}): commit or stash them")
    found += _source(source, digest)
    for what, before, after, way_out in (
        ("Airflow", target.deployed.airflow, source.deployed.airflow, "its database migrations do not go back"),
        ("Kubernetes", target.deployed.kubernetes, source.deployed.kubernetes, "EKS neither goes back nor skips a version"),
    ):
        if before and after and (problem := step_problem(before, after)):
            found.append(f"{what} of stack {target.name} is {before}, that of {source.name} {after}: {problem}; {way_out}")
    return found


def _order(source: Stack, target: Stack, between: Sequence[str]) -> Iterator[str]:
    if source.name == target.name:
        yield f"{source.name} and {target.name} are one stack: give two"
    elif ENVIRONMENTS.index(source.environment) > ENVIRONMENTS.index(target.environment):
        way = " -> ".join(ENVIRONMENTS)
        yield f"{source.name} ({source.environment}) comes after {target.name} ({target.environment}): promotion goes {way}"
    elif between:
        yield f"{', '.join(between)} stands between {source.name} and {target.name}: promote to it first"


def _source(source: Stack, digest: str) -> Iterator[str]:
    name, deployed = source.name, source.deployed
    if not deployed.image:
        yield f"stack {name} is not deployed: it has no output 'image'; deploy it first (pulumi up --stack {name})"
        return
    if not IMAGE.fullmatch(deployed.image):
        yield f"stack {name} runs {deployed.image}, which is no digest: a tag can move"
    elif digest and not deployed.image.endswith(f"@{digest.rpartition('@')[2]}"):
        yield f"{digest} is not deployed in {name}, which runs {deployed.image.partition('@')[2]}: deploy it there first"
    if not (deployed.airflow and deployed.kubernetes):
        yield f"stack {name} does not say which versions it runs (output 'versions'): deploy it once with this program"
    if deployed.last_update != "update succeeded":
        yield f"the last operation on stack {name} was '{deployed.last_update or 'none'}', no update that succeeded: deploy it first"
    if deployed.dirty:
        yield f"stack {name} was deployed from a working tree with uncommitted changes ({deployed.commit[:12]}): commit, deploy it again"


def step_problem(before: str, after: str) -> str | None:
    """Why a version must not follow another; None when it may. `1.34` and `3.3.2` are versions."""
    was, becomes = _numbers(before), _numbers(after)
    if becomes < was:
        return "it would go backwards"
    if becomes[0] > was[0]:
        return "another major version is a migration, no promotion"
    if becomes[1] > was[1] + 1:
        between = ", ".join(f"{was[0]}.{minor}" for minor in range(was[1] + 1, becomes[1]))
        return f"it would skip {between}: promote that first"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def target_problems(parsed: Mapping[str, Any]) -> list[str]:
    """What of the target's settings breaks a rule, or a guard of production; each with setting, value and way out.

    Args:
        parsed: the target's settings with the promotion's changes, as `settings_parser.parse` returns them.
    """
    found = [problem for problem in settings_rules.check(parsed) if not problem.only_warns]
    found += _placeholders(parsed)
    # advice of `pulumi up` that would undo the meaning of a promotion: the target must become fit, not call itself something less
    return [str(replace(problem, way_out="")) if "set environment to" in problem.way_out else str(problem) for problem in found]


def _placeholders(parsed: Mapping[str, Any]) -> Iterator[Problem]:
    if parsed["environment"] != "prod":
        return
    if parsed["web"] is not MISSING:
        certificate, setting = parsed["web"].certificate_arn, "web.certificateArn"
        if certificate is None:
            yield Problem(setting=setting, rule="prod needs a TLS certificate: passwords would cross the VPC in clear")
        elif f":{DOCUMENTATION_ACCOUNT}:" in certificate:
            rule = "is the placeholder of the shipped file; give the certificate of the name that users open"
            yield Problem(setting=setting, value=certificate, rule=rule)
    if parsed["cluster"] is not MISSING:
        arns = parsed["cluster"].admin_principal_arns
        for arn in arns:
            if f":{DOCUMENTATION_ACCOUNT}:" in arn:
                rule = "is the placeholder of the shipped file; give the role that may administer the cluster"
                yield Problem(setting="cluster.adminPrincipalArns", value=arn, rule=rule)


def notes(image: str, *, region: str, account: str) -> list[str]:
    """What a person should know about where the image stays.

    Args:
        image: the promoted image.
        region: of the target.
        account: of the target; empty: unknown.
    """
    found = ECR_IMAGE.fullmatch(image)
    if found is None:
        return [f"{image.partition('/')[0]} is no ECR registry: the target's nodes must be able to pull from it"]
    repository = found["repository"]
    lines = [f"the image stays in repository {repository}: it must exist for as long as a stack runs the image (docs/upgrades.md)"]
    if found["region"] != region:
        lines.append(f"the image is in {found['region']}, the target in {region}: every new node pulls it across regions, which is paid")
    if account and found["account"] != account:
        lines.append(
            f"the image is in account {found['account']}, the target in {account}: a policy of repository {repository} "
            "must let that account pull (docs/upgrades.md)"
        )
    return lines
