"""First process of a node: brings up mounts and network inside the node's namespaces, then keeps its programs running.

Started by `embedded.nodes` inside new mount, network, process, host name and cgroup namespaces, with one argument: the boot file that
says everything. When this process ends the kernel ends all others of the node, as when a machine loses power.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CGROUPS = Path("/sys/fs/cgroup")
SHUTDOWN_SECONDS = 5
RESTART_SECONDS = 1.0


def _run(*parts: str, input_text: str | None = None) -> None:
    subprocess.run(parts, input=input_text, text=True, check=True)


def _mount(*parts: str) -> None:
    _run("mount", *parts)


def mount_cgroups(boot: dict[str, Any]) -> None:
    """Show the node its own control groups as if they were the machine's."""
    if boot["cgroup_hierarchies"] is None:  # version 2: one tree, whose processes must be in a leaf before controllers are given on
        _mount("-t", "cgroup2", "cgroup2", str(CGROUPS))
        leaf = CGROUPS / "init"
        leaf.mkdir(exist_ok=True)
        for pid in (CGROUPS / "cgroup.procs").read_text().split():
            (leaf / "cgroup.procs").write_text(pid)
        controllers = (CGROUPS / "cgroup.controllers").read_text().split()
        (CGROUPS / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in controllers))
        return
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(CGROUPS))
    for name, options in boot["cgroup_hierarchies"].items():
        (CGROUPS / name).mkdir()
        _mount("-t", "cgroup", "-o", options, "cgroup", str(CGROUPS / name))
        for controller in name.split(",") if "," in name else ():
            (CGROUPS / controller).symlink_to(name)


def mount_all(boot: dict[str, Any]) -> None:
    """The node's own /var/lib, /var/log, /run, /sys, and the files by which programs measure the machine."""
    for source, target in boot["folders"].items():
        _mount("--bind", source, target)
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    _mount("-t", "sysfs", "sysfs", "/sys")
    mount_cgroups(boot)
    for target, content in boot["files"].items():
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_text(content)
    for source, target in boot["masks"].items():
        if Path(target).exists():
            _mount("--bind", source, target)


def join_network(boot: dict[str, Any]) -> None:
    """Wait for the cable, then take the node's address and the routes to the pods of all possible nodes."""
    deadline = time.monotonic() + 20
    while not Path("/sys/class/net/eth0").exists():
        if time.monotonic() > deadline:
            raise SystemExit("no network interface eth0 was given to this node")
        time.sleep(0.02)
    lines = [
        "link set lo up",
        "link set eth0 up",
        f"address add {boot['address']}/24 dev eth0",
        f"route add default via {boot['gateway']}",
        *(f"route add {pods} via {node}" for pods, node in boot["routes"].items()),
    ]
    _run("ip", "-batch", "-", input_text="\n".join(lines))
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    pods = boot["pods"]
    for address, port, to in boot["redirects"]:
        target = ("-p", "tcp", "-d", address, "--dport", str(port), "-j", "DNAT", "--to-destination", to)
        _run("iptables", "-w", "-t", "nat", "-A", "PREROUTING", "-s", pods, *target)
    _run("iptables", "-w", "-t", "nat", "-A", "POSTROUTING", "-s", pods, "!", "-d", pods, "-j", "MASQUERADE")


class Service:
    """A program that runs while the file it needs exists; it is started again when it ends, unless it runs `once`."""

    def __init__(self, name: str, command: list[str], needs: str | None = None, once: bool = False) -> None:
        self.name, self.command, self.once = name, command, once
        self.needs = Path(needs) if needs else None
        self.pid: int | None = None
        self.not_before = 0.0
        self.done = False

    def tend(self) -> bool:
        """Start or stop the program as needed; True when there is nothing to wait for."""
        wanted = self.needs is None or self.needs.exists()
        if self.pid and not wanted:
            os.kill(self.pid, signal.SIGTERM)
        if self.pid or self.done or not wanted or time.monotonic() < self.not_before:
            return bool(self.pid or self.done)
        log = f"/var/log/{self.name}.log"
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [(os.POSIX_SPAWN_OPEN, 1, log, append, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
        self.pid = os.posix_spawn(self.command[0], self.command, os.environ, file_actions=actions, setsid=True, setsigmask=[])
        return True

    def ended(self, status: int) -> None:
        """Take note of the end."""
        self.pid = None
        self.done = self.once and status == 0
        self.not_before = time.monotonic() + RESTART_SECONDS


def _reap(services: list[Service]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        for service in services:
            if service.pid == pid:
                service.ended(status)


def supervise(services: list[Service]) -> None:
    """Keep services running and reap orphans until told to shut down."""
    awaited = {signal.SIGCHLD, signal.SIGTERM}
    while True:
        settled = all([service.tend() for service in services])
        received = signal.sigtimedwait(awaited, 1.0 if settled else 0.1)
        if received and received.si_signo == signal.SIGTERM:
            return
        _reap(services)


def shut_down() -> None:
    """Ask everything to end, as an orderly shutdown does, and wait a little."""
    os.kill(-1, signal.SIGTERM)
    deadline = time.monotonic() + SHUTDOWN_SECONDS
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.05)
        except ChildProcessError:
            return


def main(boot_file: str) -> None:
    """Boot, run, shut down."""
    boot = json.loads(Path(boot_file).read_text())
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    socket.sethostname(boot["hostname"])
    mount_all(boot)
    join_network(boot)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    supervise([Service(**service) for service in boot["services"]])
    shut_down()


if __name__ == "__main__":
    main(sys.argv[1])
