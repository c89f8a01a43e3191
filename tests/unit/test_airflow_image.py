"""A9: repository, build and tag. That the image builds, is pushed and runs is shown by the tiers with a builder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.airflow_image import PROJECT, AirflowImage, AirflowImageArgs
from components.airflow_image_context import SOURCES, content_tag, context_files
from tests.conftest import ACCOUNT, Engine, built_once

Build = Callable[[Callable[[], Any]], Engine]
REPOSITORY = ("aws:ecr/repository:Repository", "image-repository")
IMAGE = ("docker-build:index:Image", "image-image")
URL = f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com/airflow-eks-demo"
ELSEWHERE = "999999999999.dkr.ecr.us-west-2.amazonaws.com/airflow-eks-demo@sha256:" + "b" * 64


@built_once
def image(tags: Mapping[str, str], **changes: Any) -> Callable[[], AirflowImage]:
    plan = {
        "repository": "airflow-eks-demo",
        "base": "apache/airflow:3.3.2-python3.12",
        "digest": None,
        "platform": "linux/amd64",
        "tags": tags,
    }
    return lambda: AirflowImage("image", AirflowImageArgs(**{**plan, **changes}))


def test_a9_the_image_consists_of_exactly_these_resources(build: Build, tags: dict[str, str]) -> None:
    assert build(image(tags)).children == {REPOSITORY, IMAGE, ("aws:ecr/lifecyclePolicy:LifecyclePolicy", "image-lifecycle")}


def test_a9_the_repository_is_scanned_immutable_encrypted_and_removable(build: Build, tags: dict[str, str]) -> None:
    assert build(image(tags, kms_key_arn="arn:key")).resources[REPOSITORY] == {
        "name": "airflow-eks-demo",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": "arn:key"}],
        "forceDelete": True,
        "tags": {**tags, "Component": "registry", "CapacityType": "none"},
    }


def test_old_images_are_expired_untagged_ones_first(build: Build, tags: dict[str, str]) -> None:
    policy = build(image(tags)).resources["aws:ecr/lifecyclePolicy:LifecyclePolicy", "image-lifecycle"]
    rules = json.loads(policy["policy"])["rules"]
    assert [(rule["rulePriority"], rule["selection"]["tagStatus"]) for rule in rules] == [(1, "tagged"), (2, "untagged"), (3, "any")]


def test_a9_the_image_is_built_from_the_project_and_pushed_under_the_tag_of_its_content(
    build: Build, preview: bool, tags: dict[str, str]
) -> None:
    inputs = build(image(tags)).resources[IMAGE]
    assert inputs["context"] == {"location": "."}, "an absolute path would differ on every machine"
    assert inputs["dockerfile"] == {"location": "docker/Dockerfile"}
    assert inputs["buildArgs"] == {"BASE_IMAGE": "apache/airflow:3.3.2-python3.12"}
    assert inputs["platforms"] == ["linux/amd64"]
    assert inputs["push"] is True
    assert inputs["buildOnPreview"] is False
    if not preview:
        tag = content_tag(PROJECT, {"BASE_IMAGE": "apache/airflow:3.3.2-python3.12", "platform": "linux/amd64"})
        assert inputs["tags"] == [f"{URL}:{tag}"]
        assert inputs["registries"] == [{"address": URL, "username": "AWS", "password": "registry-password"}]


def test_a9_pods_get_the_digest_not_the_tag(build: Build, preview: bool, tags: dict[str, str]) -> None:
    outputs = build(image(tags)).registered_outputs("image")
    assert preview or outputs["uri"] == f"{URL}@sha256:{'a' * 64}"


def test_b13_a_digest_from_elsewhere_builds_and_owns_nothing(build: Build, tags: dict[str, str]) -> None:
    engine = build(image(tags, digest=ELSEWHERE))
    assert engine.children == set()
    assert engine.lookups == []
    assert engine.registered_outputs("image")["uri"] == ELSEWHERE


def project(folder: Path) -> Path:
    (folder / "dags").mkdir()
    (folder / "docker").mkdir()
    (folder / "dags" / "one.py").write_text("one")
    (folder / "docker" / "Dockerfile").write_text("FROM base")
    return folder


def _change_a_file(folder: Path) -> None:
    (folder / "dags" / "one.py").write_text("two")


def _move_a_file(folder: Path) -> None:
    (folder / "dags" / "one.py").rename(folder / "dags" / "two.py")


def _add_a_file(folder: Path) -> None:
    (folder / "docker" / "requirements.txt").write_text("")


def _make_a_file_executable(folder: Path) -> None:
    (folder / "dags" / "one.py").chmod(0o755)


@pytest.mark.parametrize("change", [_change_a_file, _move_a_file, _add_a_file, _make_a_file_executable])
def test_another_content_is_another_tag(change: Callable[[Path], None], tmp_path: Path) -> None:
    folder = project(tmp_path)
    before = content_tag(folder, {})
    change(folder)
    assert content_tag(folder, {}) != before


def test_another_base_or_platform_is_another_tag(tmp_path: Path) -> None:
    folder = project(tmp_path)
    given = [{"BASE_IMAGE": "a"}, {"BASE_IMAGE": "b"}, {"BASE_IMAGE": "a", "platform": "linux/arm64"}]
    assert len({content_tag(folder, arguments) for arguments in given}) == 3


def test_what_the_builder_does_not_see_changes_no_tag(tmp_path: Path) -> None:
    folder = project(tmp_path)
    before = content_tag(folder, {})
    (folder / "README.md").write_text("read me")
    (folder / "dags" / "__pycache__").mkdir()
    (folder / "dags" / "__pycache__" / "one.cpython-311.pyc").write_bytes(b"1")
    (folder / "dags" / "one.py").touch()
    assert content_tag(folder, {}) == before
    assert [str(path) for path in context_files(folder)] == ["dags/one.py", "docker/Dockerfile"]


def test_an_incomplete_clone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no file to build the image from in dags, docker"):
        content_tag(tmp_path, {})


def test_the_tag_covers_all_that_the_builder_sees() -> None:
    """The provider hashes the whole context: a change outside of the tag's sources would push the same tag twice."""
    lines = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert {line.removeprefix("!").strip("/") for line in lines if line.startswith("!")} == set(SOURCES)
