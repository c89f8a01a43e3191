"""Control groups of nodes: one per node in every hierarchy, limited to the memory and processors of the instance type. Owns no process."""

from __future__ import annotations

import os
import time
from pathlib import Path

from embedded.cloud import CloudError

CGROUPS = Path("/sys/fs/cgroup")
CPU_PERIOD = 100_000
"""Microseconds; the kernel's default in both versions."""


def hierarchies_of_machine() -> dict[str, str] | None:
    """Folder to mount options of each version 1 hierarchy; None where version 2 rules alone."""
    if (CGROUPS / "cgroup.controllers").exists():
        return None
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split()
        if kind == "cgroup":
            wanted = [option for option in options.split(",") if option not in {"rw", "xattr"}]
            if any(option.startswith("name=") for option in wanted):
                wanted.insert(0, "none")
            found[Path(before.split()[4]).name] = ",".join(wanted)
    return found


def _groups(name: str) -> list[Path]:
    hierarchies = hierarchies_of_machine()
    roots = [CGROUPS] if hierarchies is None else [CGROUPS / name for name in hierarchies]
    return [root / name for root in roots]


def make_cgroups(name: str, *, memory_mib: int, vcpu: int) -> list[Path]:
    """The groups that the node's first process must enter."""
    groups = _groups(name)
    for group in groups:
        group.mkdir(exist_ok=True)
        for inherited in ("cpuset.cpus", "cpuset.mems"):  # version 1 makes these empty, and then nothing may enter
            if (group / inherited).exists() and not (group / inherited).read_text().strip() and (group.parent / inherited).exists():
                (group / inherited).write_text((group.parent / inherited).read_text())
        limits = {"memory.limit_in_bytes": memory_mib * 1024 * 1024, "memory.max": memory_mib * 1024 * 1024}
        if vcpu < (os.cpu_count() or 1):
            limits |= {"cpu.cfs_quota_us": vcpu * CPU_PERIOD, "cpu.max": vcpu * CPU_PERIOD}
        for limit, value in limits.items():
            if (group / limit).exists():
                (group / limit).write_text(str(value))
    return groups


def remove_cgroups(name: str) -> None:
    """Remove the groups of a node that was switched off.

    Raises:
        CloudError: a process still runs in one.
    """
    for group in _groups(name):
        for _ in range(100):
            for folder, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    break  # its last process is just ending
            if not group.exists():
                break
            time.sleep(0.05)
        else:
            raise CloudError(f"control group {group} is still in use")
