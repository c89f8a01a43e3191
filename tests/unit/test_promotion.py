"""Promotion (rows B13, C7): what moves, what is refused and why, and that a stack file keeps everything else.

The engine's part, outputs and previews, is played by a stand-in here; `tests/engine/test_promotion.py` has the real engine.
"""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

from operations import promotion, stack_file
from operations.promotion import PromotionError, main, promote
from operations.promotion_rules import Deployed, Stack, notes, refusals, step_problem, target_problems
from operations.stack_file import StackFileError, changed, parsed_file
from tests.conftest import PROJECT

IMAGE = f"222233334444.dkr.ecr.us-west-2.amazonaws.com/airflow-eks-demo@sha256:{'a' * 64}"
RUNS = Deployed(image=IMAGE, airflow="3.3.2", kubernetes="1.35", last_update="update succeeded", commit="c0ffee")
DEV = Stack(name="dev", environment="dev", deployed=RUNS)
STAGING = Stack(name="staging", environment="staging", deployed=replace(RUNS, image=IMAGE.replace("a" * 64, "b" * 64)))
PROD = Stack(name="prod", environment="prod", deployed=Deployed())
OWN = {
    "cluster.adminPrincipalArns": "[arn:aws:iam::222233334444:role/platform]",
    "web.certificateArn": "arn:aws:acm:us-west-2:222233334444:certificate/1",
}


def refused(source: Stack = DEV, target: Stack = STAGING, **more: Any) -> list[str]:
    return refusals(source, target, **{"uncommitted": [], "digest": "", "between": [], **more})


def runs(stack: Stack, **changes: Any) -> Stack:
    return replace(stack, deployed=replace(stack.deployed, **changes))


def test_c7_what_runs_in_dev_moves_to_staging() -> None:
    assert refused() == []
    assert refused(digest="sha256:" + "a" * 64) == []
    assert refused(target=replace(STAGING, deployed=Deployed())) == [], "a stack that was never deployed goes back from nothing"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"uncommitted": ["dags/etl.py"]}, "changes that are in no commit (dags/etl.py)"),
        ({"source": replace(DEV, deployed=Deployed())}, "stack dev is not deployed: it has no output 'image'"),
        ({"source": runs(DEV, image="repo:latest")}, "runs repo:latest, which is no digest"),
        ({"digest": "sha256:" + "c" * 64}, "is not deployed in dev, which runs sha256:aaa"),
        ({"source": runs(DEV, airflow="")}, "does not say which versions it runs"),
        ({"source": runs(DEV, last_update="update failed")}, "the last operation on stack dev was 'update failed'"),
        ({"source": runs(DEV, dirty=True)}, "deployed from a working tree with uncommitted changes (c0ffee)"),
        ({"source": runs(DEV, airflow="3.3.1")}, "Airflow of stack staging is 3.3.2, that of dev 3.3.1: it would go backwards"),
        ({"source": runs(DEV, airflow="3.5.0")}, "it would skip 3.4: promote that first"),
        ({"source": runs(DEV, airflow="4.0.0")}, "another major version is a migration"),
        ({"source": runs(DEV, kubernetes="1.34")}, "Kubernetes of stack staging is 1.35, that of dev 1.34: it would go backwards"),
        ({"source": runs(DEV, kubernetes="1.37")}, "it would skip 1.36"),
        ({"target": DEV}, "are one stack"),
        ({"source": STAGING, "target": DEV}, "promotion goes dev -> staging -> prod"),
        ({"target": PROD, "between": ["staging"]}, "staging stands between dev and prod"),
    ],
)
def test_c7_what_must_not_move_is_refused_with_the_reason(case: dict[str, Any], words: str) -> None:
    [reason] = refused(**case)
    assert words in reason


def test_c7_every_reason_is_given_at_once() -> None:
    source = runs(DEV, airflow="3.2.0", kubernetes="1.33", dirty=True)
    assert len(refused(source=source, uncommitted=["x"])) == 4


FORWARD = [("3.3.2", "3.3.2"), ("3.3.2", "3.3.10"), ("3.3.9", "3.4.0"), ("3.9.1", "3.10.0"), ("1.35", "1.36")]
NOT_FORWARD = [("3.3.10", "3.3.9"), ("3.3.2", "3.5.0"), ("1.36", "1.35"), ("1.34", "1.36"), ("3.9.9", "4.0.0")]


@pytest.mark.parametrize(("before", "after"), [*FORWARD, *NOT_FORWARD])
def test_c7_versions_move_forward_one_minor_at_a_time(before: str, after: str) -> None:
    assert (step_problem(before, after) is None) is ((before, after) in FORWARD)


@pytest.mark.parametrize(
    ("dotted", "value", "words"),
    [
        ("database.multiAz", "false", "database.multiAz = False: environment prod needs true"),
        ("database.deletionProtection", "false", "database.deletionProtection = False: environment prod needs true"),
        ("database.finalSnapshot", "false", "database.finalSnapshot = False: environment prod needs true"),
        ("database.backupRetentionDays", "3", "database.backupRetentionDays = 3: environment prod needs 7 or more"),
        ("cluster.endpointPublic", "true", "cluster.endpointPublic = True: environment prod needs false"),
        ("network.natGateways", "single", "network.natGateways = 'single': environment prod needs per-zone"),
        ("storage.backups", "false", "storage.backups = False: environment prod needs true"),
        ("airflow.replicas", "{scheduler: 1, apiServer: 2}", "airflow.replicas.scheduler = 1: environment prod needs 2 or more"),
        ("airflow.replicas", "{scheduler: 2, apiServer: 1}", "airflow.replicas.apiServer = 1: environment prod needs 2 or more"),
        ("core.minSize", "1", "core.minSize = 1: core needs >= 2 nodes in 2 zones"),
        ("web.certificateArn", '""', "web.certificateArn: prod needs a TLS certificate"),
        ("web.certificateArn", "arn:aws:acm:us-west-2:111122223333:certificate/0", "is the placeholder of the shipped file"),
        (
            "web.certificateArn",
            "arn:aws:acm:us-east-1:222233334444:certificate/0",
            "is of region us-east-1, the load balancer of us-west-2",
        ),
        (
            "cluster.adminPrincipalArns",
            "[arn:aws:iam::111122223333:role/x]",
            "cluster.adminPrincipalArns = 'arn:aws:iam::111122223333:role/x'",
        ),
    ],
)
def test_c7_production_without_a_guard_is_refused_with_setting_and_value(dotted: str, value: str, words: str) -> None:
    found = target_problems(production({dotted: value}))
    assert any(words in problem for problem in found), found
    assert not any("set environment to" in problem for problem in found), "a production stack is not made fit by calling it staging"


def production(changes: dict[str, str]) -> dict[str, Any]:
    """The shipped production settings with the user's own certificate and administrators, and changes given as YAML."""
    content = yaml.safe_load((PROJECT / "Pulumi.prod.yaml").read_text())
    for dotted, value in {**OWN, **changes}.items():
        section, _, key = dotted.partition(".")
        content["config"].setdefault(f"airflow-on-eks:{section}", {})[key] = yaml.safe_load(value)
    parsed, problems = parsed_file(PROJECT, "prod", yaml.safe_dump(content))
    assert problems == []
    return parsed


def test_c7_the_shipped_production_stack_lacks_only_what_is_the_users_own() -> None:
    parsed, _ = parsed_file(PROJECT, "prod")
    assert [problem.partition(" =")[0] for problem in target_problems(parsed)] == ["web.certificateArn", "cluster.adminPrincipalArns"]
    assert target_problems(production({})) == []


def test_where_the_image_stays_is_said() -> None:
    assert len(notes(IMAGE, region="us-west-2", account="222233334444")) == 1
    assert "pulls it across regions" in notes(IMAGE, region="eu-west-1", account="")[1]
    assert "must let that account pull" in notes(IMAGE, region="us-west-2", account="555566667777")[1]
    assert "is no ECR registry" in notes(f"ghcr.io/us/airflow@sha256:{'a' * 64}", region="us-west-2", account="")[0]


CHANGES = {"image.digest": IMAGE, "airflow.version": "3.3.2", "cluster.kubernetesVersion": "1.35"}


@pytest.mark.parametrize("name", sorted(file.name for file in PROJECT.glob("Pulumi.*.yaml")))
def test_b13_a_changed_stack_file_keeps_every_other_line(name: str) -> None:
    before = (PROJECT / name).read_text()
    after = changed(before, CHANGES)
    assert [line for line in after.splitlines() if line in before.splitlines()] == before.splitlines(), "comments and order stay"
    config = yaml.safe_load(after)["config"]
    assert config["airflow-on-eks:image"]["digest"] == IMAGE
    assert config["airflow-on-eks:cluster"]["kubernetesVersion"] == "1.35", "a text: 1.35 as a number would be 1.3500000 or 1.3"
    assert changed(after, CHANGES) == after, "a second time changes nothing"
    again = changed(after, {**CHANGES, "image.digest": IMAGE.replace("a" * 64, "b" * 64)})
    assert len(set(after.splitlines()) ^ set(again.splitlines())) == 2, "the next promotion changes one line"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("config: {}\n", None),
        ("config:\n  airflow-on-eks:image: {repository: x}\n", "  airflow-on-eks:image: {digest: d, repository: x}\n"),
        ("config:\n  airflow-on-eks:image.digest: old # mine\n", "  airflow-on-eks:image.digest: d # mine\n"),
        ("config:\n  airflow-on-eks:image:\n    # why x\n    repository: x\n", "    digest: d\n    # why x\n    repository: x\n"),
        ("config:\n  a:b: c\nencryptionsalt: s\n", "  a:b: c\n  airflow-on-eks:image:\n    digest: d\nencryptionsalt: s\n"),
        ("config:\n  a:b: c", "  a:b: c\n  airflow-on-eks:image:\n    digest: d\n"),
        ("config:\n  airflow-on-eks:image:\n", None),
        ("", None),
    ],
)
def test_b13_other_ways_to_write_a_stack_file(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(StackFileError, match=r"set image\.digest to d by hand"):
            changed(text, {"image.digest": "d"})
    else:
        assert expected in changed(text, {"image.digest": "d"})


class Engine:
    """Stands for the engine: what is deployed where, and whether the preview works."""

    def __init__(self, **deployed: Deployed) -> None:
        self.deployed, self.previewed, self.fails = deployed, [], False

    def open(self, name: str) -> Any:
        if name not in self.deployed:
            raise auto.StackNotFoundError(SimpleNamespace(stderr="", stdout="", code=1))  # type: ignore[arg-type]
        runs = self.deployed[name]
        outputs = {"image": runs.image, "versions": {"airflow": runs.airflow, "kubernetes": runs.kubernetes}} if runs.image else {}
        kind, _, result = runs.last_update.partition(" ")
        environment = {"git.head": runs.commit, "git.dirty": str(runs.dirty).lower()}
        last = SimpleNamespace(kind=kind, result=result, environment=environment) if kind else None
        return SimpleNamespace(
            outputs=lambda: {key: SimpleNamespace(value=value) for key, value in outputs.items()},
            info=lambda show_secrets: last,
            preview=lambda **more: self.preview(name),
        )

    def preview(self, name: str) -> None:
        self.previewed.append(stack_file.file_of(promotion.PROJECT, name).read_text())
        if self.fails:
            raise auto.CommandError(SimpleNamespace(stderr="quota exceeded", stdout="", code=1))  # type: ignore[arg-type]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed clone of the stack files."""
    for file in PROJECT.glob("Pulumi*.yaml"):
        (tmp_path / file.name).write_text(file.read_text())
    git = ["git", "-C", str(tmp_path), "-c", "user.name=us", "-c", "user.email=us@example.com"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(promotion, "PROJECT", tmp_path)
    monkeypatch.setattr(promotion, "EcrImage", lambda image, profile: SimpleNamespace(missing=lambda: None, keep=lambda target: None))
    monkeypatch.setattr(promote, "__kwdefaults__", {**(promote.__kwdefaults__ or {}), "project": tmp_path})
    return tmp_path


COMMAND = ["--from", "dev", "--to", "staging"]


def test_b13_a_promotion_in_ci_previews_and_keeps_the_changed_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine(dev=RUNS, staging=Deployed())
    assert main([*COMMAND, "--yes"], engine.open) == 0
    [previewed] = engine.previewed
    assert previewed == (project / "Pulumi.staging.yaml").read_text()
    assert f"digest: {IMAGE}" in previewed
    assert "pulumi up --stack staging" in capsys.readouterr().out
    assert promotion.uncommitted(project) == ["Pulumi.staging.yaml"], "to be committed like every other change"


def test_b13_what_is_there_already_is_not_written_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = project / "Pulumi.staging.yaml"
    file.write_text(changed(file.read_text(), CHANGES))
    subprocess.run(["git", "-C", str(project), "-c", "user.name=us", "-c", "user.email=us@example.com", "commit", "-qam", "x"], check=True)
    engine = Engine(dev=RUNS, staging=RUNS)
    assert main(COMMAND, engine.open) == 0
    assert engine.previewed == []
    assert "already says so" in capsys.readouterr().out


def test_c7_an_image_that_nobody_has_seen_is_not_promoted(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(promotion, "EcrImage", lambda image, profile: SimpleNamespace(missing=lambda: "no image any more"))
    engine = Engine(dev=RUNS, staging=Deployed())
    assert main([*COMMAND, "--yes"], engine.open) == 1
    assert "refused for 1 reason(s); Pulumi.staging.yaml is as it was:\n  - no image any more" in capsys.readouterr().err
    assert engine.previewed == []


@pytest.mark.parametrize(
    ("answer", "fails", "words"),
    [
        ("n\n", False, "not wanted"),
        ("", False, "there is no standard input; the file is as it was. Read the preview above, then go on with YES=1"),
        ("y\n", True, "the preview failed; Pulumi.staging.yaml is as it was:\n"),
    ],
)
def test_b13_without_a_yes_and_a_preview_the_file_is_put_back_exactly(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, fails: bool, words: str
) -> None:
    before = (project / "Pulumi.staging.yaml").read_bytes()
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    engine = Engine(dev=RUNS, staging=Deployed())
    engine.fails = fails
    assert main(COMMAND, engine.open) == 1
    assert len(engine.previewed) == 1, "the preview was shown"
    assert engine.previewed[0].encode() != before
    assert (project / "Pulumi.staging.yaml").read_bytes() == before
    assert words in capsys.readouterr().err


def test_c7_a_refusal_comes_before_the_preview_with_every_reason(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "left-over.txt").write_text("x")
    before = (project / "Pulumi.prod.yaml").read_bytes()
    engine = Engine(dev=RUNS, prod=replace(RUNS, kubernetes="1.36"))
    assert main(["--from", "dev", "--to", "prod", "--yes"], engine.open) == 1
    text = capsys.readouterr().err
    expected = ["staging stands between", "left-over.txt", "Kubernetes of stack prod is 1.36", "web.certificateArn", "adminPrincipalArns"]
    assert "refused for 5 reason(s)" in text
    assert [words for words in expected if words not in text] == []
    assert engine.previewed == []
    assert (project / "Pulumi.prod.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--from", "dev", "--to", "qa"], "there is no stack 'qa'"), (COMMAND, "pulumi stack init dev")]
)
def test_a_stack_that_does_not_exist_is_named(project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert main([*arguments, "--yes"], Engine().open) == 1
    assert words in capsys.readouterr().err


def test_outside_of_a_git_clone_nothing_is_promoted(tmp_path: Path) -> None:
    with pytest.raises(PromotionError, match="promote from a git clone"):
        promotion.uncommitted(tmp_path)
