"""Which files an image is built from, and the tag that names exactly their content. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

SOURCES = ("dags", "docker")
"""Folders of the project that the build may read: those `.dockerignore` lets through."""
IGNORED = ("__pycache__",)
TAG_LENGTH = 16


def context_files(project: Path, sources: Sequence[str] = SOURCES) -> list[Path]:
    """Files of the build context, sorted, relative to the project."""
    found = [path for source in sources for path in (project / source).rglob("*") if path.is_file()]
    return sorted(path.relative_to(project) for path in found if not set(IGNORED) & set(path.parts) and path.suffix != ".pyc")


def content_tag(project: Path, arguments: Mapping[str, str], sources: Sequence[str] = SOURCES) -> str:
    """Tag that changes whenever a file, its place, its executable bit or a build argument does, and never otherwise.

    An immutable repository refuses a second push of a tag, so one tag must mean one content.

    Raises:
        ValueError: there is nothing to build from.
    """
    files = context_files(project, sources)
    if not files:
        raise ValueError(f"no file to build the image from in {', '.join(sources)} of {project}; run from a complete clone")
    digest = hashlib.sha256()
    for key, value in sorted(arguments.items()):
        digest.update(f"{key}={value}\0".encode())
    for file in files:
        path = project / file
        executable = bool(path.stat().st_mode & 0o100)
        digest.update(f"{file.as_posix()}\0{executable}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()[:TAG_LENGTH]
