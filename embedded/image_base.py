"""The local stand-in for Apache's official Airflow image, which `docker/Dockerfile` starts from where there is no registry to pull from.

Made of Debian's packages and Python wheels, once for each machine: an image store in the cache that every clone's builds read. It has
the same user, folders, entry point and environment as the original, and fewer providers.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded import toolchain
from embedded.cloud import CloudError

AIRFLOW_VERSION = "3.3.2"
REFERENCE = f"localhost/airflow-base:{AIRFLOW_VERSION}"
"""What a stack file names as its base image."""
OFFICIAL = f"apache/airflow:{AIRFLOW_VERSION}"
"""The image it stands in for, with any `-python` suffix."""
SOURCES = Path(__file__).parent / "airflow_base"
SUITE = "bookworm"
"""The Debian release that the official image is made of."""
PACKAGES = "python3,python3-venv,ca-certificates,dumb-init,git,openssh-client,tzdata"
USER_ID = "50000"
HOME = "/home/airflow"
VIRTUAL_ENV = f"{HOME}/.local"
AIRFLOW_HOME = "/opt/airflow"
MOUNTS = "/run/build-machine"
"""Where the machine's own pip configuration and certificates stand during a build; the image keeps nothing of it."""
ENVIRONMENT = {
    "PATH": f"{VIRTUAL_ENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "VIRTUAL_ENV": VIRTUAL_ENV,
    "AIRFLOW_HOME": AIRFLOW_HOME,
    "AIRFLOW_USER_HOME_DIR": HOME,
    "AIRFLOW_UID": USER_ID,
    "AIRFLOW_VERSION": AIRFLOW_VERSION,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
    "DUMB_INIT_SETSID": "1",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
}
_SET_UP = f"""set -e
useradd --uid {USER_ID} --gid 0 --create-home --home-dir {HOME} --shell /bin/bash airflow
mkdir -p {AIRFLOW_HOME}/dags {AIRFLOW_HOME}/logs
python3 -m venv {VIRTUAL_ENV}
{VIRTUAL_ENV}/bin/pip install --quiet --no-cache-dir --no-compile --only-binary=:all: --root-user-action=ignore -r /tmp/requirements.txt
"""
# what only a person at a terminal, a developer or a translator would miss
_TRIM = f"""set -e
cd {VIRTUAL_ENV}/lib/python3*/site-packages
rm -f distutils-precedence.pth  # of setuptools, for builds; every Python would begin with it
find . -depth -type d \\( -name tests -o -name example_dags -o -name __pycache__ \\) -exec rm -rf {{}} +
find . \\( -name '*.pyi' -o -name '*.js.map' \\) -delete
rm -rf kubernetes/aio  # a second client, which nothing here imports
find babel/locale-data -name '*.dat' ! -name root.dat ! -name 'en*.dat' -delete
rm -rf /usr/share/perl /usr/share/perl5 /usr/lib/*/perl /usr/lib/*/perl5  # what git uses to send mail and to talk to Subversion
rm -rf /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /usr/share/lintian
rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /tmp/* /root/.cache
cd {HOME}
{VIRTUAL_ENV}/bin/python -m compileall -q -j 0 .local/lib > /dev/null || true
chown -R {USER_ID}:0 {HOME} {AIRFLOW_HOME}
chmod -R g=u {HOME} {AIRFLOW_HOME}
"""


def store() -> Path:
    """The image store in the cache that holds the base, keyed by all that it is made from."""
    key = toolchain.fingerprint(
        SOURCES / "requirements.txt", SOURCES / "entrypoint.sh", SUITE, PACKAGES, _SET_UP, _TRIM, repr(sorted(ENVIRONMENT.items()))
    )
    return toolchain.cache_dir() / "images" / f"airflow-base-{AIRFLOW_VERSION}-{key}"


class Buildah:
    """Buildah with an image store of its own, so that no other program's images are seen or touched."""

    def __init__(self, root: Path, log: Path, *, more_images: Path | None = None) -> None:
        self.root = root
        self.log = log
        shared = ["--storage-opt", f"overlay.imagestore={more_images}"] if more_images else []
        self._command = ["buildah", "--root", str(root), "--runroot", f"{root}.run", "--storage-driver", "overlay", *shared]

    def __call__(self, *arguments: str) -> str:
        """Run one command to its end and give its output; all of it is in the log.

        Raises:
            CloudError: it failed; the message has its last lines.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([*self._command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        with self.log.open("a") as log:
            log.write("\n".join((f"+ buildah {shlex.join(arguments)}", done.stdout, done.stderr)))
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise CloudError(f"buildah {arguments[0]} failed; its last lines (more in {self.log}):\n{last}")
        return done.stdout.strip()


def remove_tree(folder: Path) -> None:
    """Remove a folder with image stores in it, also those of builds that failed or were killed and are still mounted."""
    mounts = [line.split()[4].replace("\\040", " ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed(mounts):  # what was mounted last first
        if Path(mount).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """Remove the scratch stores of builds whose process is gone."""
    for scratch in folder.glob("airflow-base-*"):
        process = scratch.name.removesuffix(".run").rpartition(".")[2].partition("-")[0]
        if process.isdigit() and not Path("/proc", process).exists():
            remove_tree(scratch)


@contextmanager
def machine_settings(folder: Path) -> Iterator[list[str]]:
    """Options that lend a build the machine's pip configuration, with the certificate files and folders that it names."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    settings: dict[str, str] = {}
    # "global.cert='/etc/...'" and ":env:.cert='...'", which counts more; pip's own order differs by its version
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        if name.startswith(("global.", "install.", ":env:.")):
            settings[name.rpartition(".")[2]] = value.strip("'\"")
    settings.setdefault("cert", os.environ.get("SSL_CERT_FILE", os.environ.get("REQUESTS_CA_BUNDLE", "")))
    options: list[str] = []
    lines = ["[global]"]
    for name, value in settings.items():
        values = value.split()
        for number, path in enumerate(values):
            if path.startswith("/") and Path(path).exists():
                values[number] = f"{MOUNTS}/{name}{number}"
                options += ["--volume", f"{path}:{values[number]}:ro"]
        if values:
            lines.append(f"{name} = {' '.join(values)}")
    file = folder / "pip.conf"
    file.write_text("\n".join(lines) + "\n")
    yield ["--volume", f"{file}:/etc/pip.conf:ro", *options]
    file.unlink()


def _mirror() -> list[str]:
    """The Debian mirror that this machine's apt uses; nothing, and so debootstrap's own choice, when it uses none of that release."""
    command = ["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return []
    found = [line.split()[2] for line in listed.splitlines() if line.startswith(f"{SUITE} main ")]
    return found[:1]


def _strip(tree: Path) -> None:
    """Remove debugging symbols from Python's extension modules; what wheels bundle beside them (*.libs) is left as it is."""
    modules = [path for path in (tree / VIRTUAL_ENV.lstrip("/")).rglob("*.so") if ".libs" not in str(path)]
    subprocess.run(["strip", "--strip-unneeded", *map(str, modules)], capture_output=True, check=False)


def _step(text: str, began: float) -> None:
    toolchain.say(f"  airflow-base: {text} ({time.monotonic() - began:.0f} s so far)")


def _build(buildah: Buildah) -> None:
    began = time.monotonic()
    container = buildah("from", "scratch")
    tree = Path(buildah("mount", container))
    toolchain.say(f"  airflow-base: Debian {SUITE} by debootstrap, about 40 s (log {buildah.log})")
    with buildah.log.open("a") as log:
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(tree), *_mirror()]
        if subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False).returncode:
            raise CloudError(f"debootstrap failed; read {buildah.log}")
    _step(f"Airflow {AIRFLOW_VERSION} and its Python packages, about 30 s", began)
    shutil.copy(SOURCES / "requirements.txt", tree / "tmp")
    with machine_settings(buildah.root) as options:
        run(buildah, container, _SET_UP, *options)
    (tree / "etc/pip.conf").unlink(missing_ok=True)
    shutil.rmtree(tree / MOUNTS.lstrip("/"), ignore_errors=True)
    shutil.copy(SOURCES / "entrypoint.sh", tree / "entrypoint")
    (tree / "entrypoint").chmod(0o755)
    _step("removing what is not needed, compiling Python", began)
    run(buildah, container, _TRIM)
    _strip(tree)
    for name in ("resolv.conf", "hostname"):  # this machine's, copied by debootstrap
        (tree / "etc" / name).write_text("")
    _step("writing the image", began)
    variables = [f"--env={name}={value}" for name, value in ENVIRONMENT.items()]
    buildah("config", *variables, f"--user={USER_ID}", f"--workingdir={AIRFLOW_HOME}", "--port=8080", "--cmd=[]", container)
    buildah("config", '--entrypoint=["/usr/bin/dumb-init", "--", "/entrypoint"]', container)
    buildah("unmount", container)
    buildah("commit", "--quiet", "--rm", container, REFERENCE)
    _step("done", began)


def run(buildah: Buildah, container: str, script: str, *options: str) -> None:
    """Run a shell script as root in a container that is being built."""
    buildah("run", "--isolation=chroot", "--user=0:0", *options, container, "--", "sh", "-c", script)


def ensure_base_image() -> Path:
    """The store that holds `REFERENCE`, made when it is missing (about two minutes).

    Raises:
        CloudError: debootstrap, pip or buildah failed; the message names the log.
    """
    final = store()
    if not final.exists():
        with toolchain.alone("airflow-base"):
            if not final.exists():  # nobody made it meanwhile
                _make(final)
    return final


def _make(final: Path) -> None:
    _remove_leftovers(final.parent)
    scratch = final.with_name(f"{final.name}.{toolchain.scratch_suffix()}")
    buildah = Buildah(scratch, toolchain.cache_dir() / "logs" / "airflow-base.log")
    scratch.mkdir(parents=True, exist_ok=True)
    buildah.log.parent.mkdir(parents=True, exist_ok=True)
    buildah.log.write_text("")
    try:
        _build(buildah)
        scratch.rename(final)
    finally:
        remove_tree(scratch)
        remove_tree(Path(f"{scratch}.run"))
