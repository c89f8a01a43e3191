"""Container images without a registry or a builder: static programs in an OCI archive, which containerd imports."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from embedded.toolchain import ToolError, cache_dir, fingerprint, go_tools, scratch_suffix

PAUSE_IMAGE = "localhost/pause:1"
COREDNS_IMAGE = "localhost/coredns:1"
PAUSE_SOURCE = """
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int sign) { _exit(0); }
static void reap(int sign) { while (waitpid(-1, NULL, WNOHANG) > 0); }
int main(void) {
    signal(SIGINT, end); signal(SIGTERM, end); signal(SIGCHLD, reap);
    for (;;) pause();
}
"""
"""Holds a pod's namespaces open and reaps its orphans."""


def _tar(files: dict[str, bytes | Path], *, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, source in files.items():
            content = source if isinstance(source, bytes) else source.read_bytes()
            entry = tarfile.TarInfo(name)  # owner root and time 0: the same content has the same digest everywhere
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _encode(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def archive(reference: str, files: dict[str, bytes | Path], *, entrypoint: list[str], user: str = "65534") -> bytes:
    """An OCI image archive of one uncompressed layer.

    Args:
        reference: full name the image gets, e.g. `localhost/pause:1`.
        files: path in the image to contents; every file is executable.
        entrypoint: program and leading arguments.
        user: numeric user the program runs as.
    """
    blobs: dict[str, bytes] = {}

    def blob(media_type: str, content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    layer = blob("application/vnd.oci.image.layer.v1.tar", _tar(files, mode=0o755))
    config = {
        "architecture": "arm64" if os.uname().machine == "aarch64" else "amd64",
        "os": "linux",
        "config": {"Entrypoint": entrypoint, "User": user},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("application/vnd.oci.image.config.v1+json", _encode(config)),
        "layers": [layer],
    }
    entry = blob("application/vnd.oci.image.manifest.v1+json", _encode(manifest))
    entry["annotations"] = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference.rpartition(":")[2]}
    contents: dict[str, bytes | Path] = {
        "oci-layout": _encode({"imageLayoutVersion": "1.0.0"}),
        "index.json": _encode({"schemaVersion": 2, "manifests": [entry]}),
    }
    return _tar(contents | dict(blobs), mode=0o644)


def _cached(name: str, key: str, build: Callable[[], bytes]) -> Path:
    file = cache_dir() / "images" / f"{name}-{key}.tar"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_suffix(f".{scratch_suffix()}")
        scratch.write_bytes(build())
        scratch.rename(file)
    return file


def _compile_pause() -> bytes:
    program = cache_dir() / f"pause.{scratch_suffix()}"
    command = ["gcc", "-static", "-Os", "-s", "-x", "c", "-", "-o", str(program)]
    done = subprocess.run(command, input=PAUSE_SOURCE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(f"the pause program did not compile (is the C library's static part there, Debian's libc6-dev?): {done.stderr}")
    content = program.read_bytes()
    program.unlink()
    return content


def pause_archive() -> Path:
    """The image of every pod's first container."""

    def build() -> bytes:
        return archive(PAUSE_IMAGE, {"pause": _compile_pause()}, entrypoint=["/pause"])

    return _cached("pause", fingerprint(PAUSE_SOURCE, PAUSE_IMAGE), build)


def coredns_archive() -> Path:
    """CoreDNS as EKS runs it, in an image of its own."""
    program = go_tools("coredns")["coredns"]

    def build() -> bytes:
        return archive(COREDNS_IMAGE, {"coredns": program}, entrypoint=["/coredns"], user="0")

    return _cached("coredns", fingerprint(str(program), COREDNS_IMAGE), build)
