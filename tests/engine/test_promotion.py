"""The dev stack is deployed, its release is promoted to staging, and dev is destroyed (rows B13, C7). The tests run in their order.

Two stacks cannot run beside each other here, as the embedded cloud has one cluster: staging is planned, not deployed.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

from components.settings_parser import merged
from embedded.cloud import PROJECT
from embedded.engine import Progress
from operations.ecr_image import EcrImage
from operations.promotion import PromotionError, deployed, promote
from operations.stack_file import changed
from tests.engine.conftest import Engine

REPOSITORY = "airflow-built-elsewhere"
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1, "digest": "sha256:" + "0" * 64},
    "layers": [],
}
NO_CHART = {"airflow-on-eks:autoscaler": {"enabled": False}}
"""A chart needs a registry that has it."""


def _commit(folder: Path, *paths: str) -> None:
    git = ["git", "-C", str(folder), "-c", "user.name=us", "-c", "user.email=us@example.com"]
    for command in (["init", "-q"], ["add", "-f", *paths], ["commit", "-q", "-m", "as deployed"]):
        subprocess.run([*git, *command], check=True)


@pytest.fixture(scope="module")
def project(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A committed clone of the stack files; the engine sees a committed clone too, whatever state the developer's own is in."""
    folder = tmp_path_factory.mktemp("clone")
    for file in PROJECT.glob("Pulumi*.yaml"):
        (folder / file.name).write_text(file.read_text())
    _commit(folder, ".")
    workspace = engine.cloud.path("pulumi", "workspace")
    (workspace / ".gitignore").write_text("*\n")
    _commit(workspace, ".gitignore")
    yield folder
    subprocess.run(["rm", "-r", str(workspace / ".git"), str(workspace / ".gitignore")], check=True)


@pytest.fixture(scope="module")
def image(engine: Engine) -> str:
    """An image in ECR, as another stack would have built it; the last test removes it."""
    ecr = engine.client("ecr")
    uri = ecr.create_repository(repositoryName=REPOSITORY)["repository"]["repositoryUri"]
    pushed = ecr.put_image(repositoryName=REPOSITORY, imageManifest=json.dumps(MANIFEST), imageTag="built")
    return f"{uri}@{pushed['image']['imageId']['imageDigest']}"


def opener(engine: Engine, project: Path, changes: dict[str, Any] = NO_CHART) -> Any:
    def open_stack(name: str) -> auto.Stack:
        content = yaml.safe_load((project / f"Pulumi.{name}.yaml").read_text())
        return engine.stack(name, settings=merged(content["config"], changes))

    return open_stack


def test_b13_dev_is_deployed_and_says_what_it_runs(engine: Engine, project: Path, image: str) -> None:
    file = project / "Pulumi.dev.yaml"
    file.write_text(changed(file.read_text(), {"image.digest": image}))
    _commit(project, file.name)
    stack = opener(engine, project)("dev")
    engine.run(stack.up)
    runs = deployed(stack)
    assert (runs.image, runs.airflow, runs.kubernetes) == (image, "3.3.2", "1.35")
    assert (runs.last_update, runs.dirty) == ("update succeeded", False)
    assert len(runs.commit) == 40


def test_c7_another_digest_than_the_deployed_one_is_refused(engine: Engine, project: Path) -> None:
    with pytest.raises(PromotionError, match="is not deployed in dev"):
        promote("dev", "staging", open_stack=opener(engine, project), ask=lambda _: True, project=project, digest="sha256:" + "b" * 64)


def test_c7_prod_is_refused_for_what_it_lacks(engine: Engine, project: Path) -> None:
    with pytest.raises(PromotionError) as refusal:
        promote("dev", "prod", open_stack=opener(engine, project), ask=lambda _: True, project=project)
    for words in ("staging stands between dev and prod", "web.certificateArn", "cluster.adminPrincipalArns"):
        assert words in str(refusal.value)


def test_b13_a_preview_that_fails_puts_the_file_back(engine: Engine, project: Path) -> None:
    file = project / "Pulumi.staging.yaml"
    before = file.read_bytes()

    one_zone = opener(engine, project, {"airflow-on-eks:network": {"availabilityZones": ["us-west-2a"]}})
    with pytest.raises(PromotionError, match="the preview failed") as failure:
        promote("dev", "staging", open_stack=one_zone, ask=lambda _: True, project=project)
    assert "need >= 2 zones" in str(failure.value), "the engine's own words reach the person"
    assert file.read_bytes() == before


def test_b13_what_runs_in_dev_is_promoted_to_staging_and_not_built_again(engine: Engine, project: Path, image: str) -> None:
    file, lines, questions = project / "Pulumi.staging.yaml", list[str](), list[str]()
    before = file.read_text()
    answers = iter([False, True])

    def ask(question: str) -> bool:
        questions.append(question)
        return next(answers)

    for wanted in (False, True):
        if wanted:
            promote("dev", "staging", open_stack=opener(engine, project), ask=ask, project=project, say=lines.append)
        else:
            with pytest.raises(PromotionError, match="not wanted"):
                promote("dev", "staging", open_stack=opener(engine, project), ask=ask, project=project, say=lines.append)
            assert file.read_text() == before
    text = "\n".join(lines)
    assert "aws:eks:NodeGroup" in text, "the plan was shown before it was asked"
    assert questions == ["Keep the change of Pulumi.staging.yaml?"] * 2
    assert [line for line in file.read_text().splitlines() if line in before.splitlines()] == before.splitlines()
    progress = Progress(preview=True, quiet=True)
    opener(engine, project)("staging").preview(on_event=progress, suppress_progress=True)
    assert not [resource for resource in progress.plan if resource.type.startswith(("docker-build:", "aws:ecr/repository:"))]
    programs = [resource.inputs["spec"] for resource in progress.plan if resource.type == "kubernetes:apps/v1:Deployment"]
    images = {container["image"] for spec in programs for container in spec["template"]["spec"]["containers"]}
    assert images == {image}
    tags = engine.client("ecr").describe_images(repositoryName=REPOSITORY)["imageDetails"][0]["imageTags"]
    assert f"promoted-staging-{image.partition('sha256:')[2][:12]}" in tags, "a tag that the lifecycle policy keeps"
    assert EcrImage(image).missing() is None
    assert "has no image sha256:bbb" in str(EcrImage(image.partition(":")[0] + ":" + "b" * 64).missing())


def test_b13_dev_is_destroyed_with_nothing_left(engine: Engine, project: Path) -> None:
    engine.run(opener(engine, project)("dev").destroy)
    engine.client("ecr").delete_repository(repositoryName=REPOSITORY, force=True)
    assert engine.inventory() == {}
    left = json.loads((engine.cloud.home / "kubernetes-leftovers.json").read_text())
    assert not any(left.values()), left
