"""The bridge that joins nodes, control plane, database and registry. Owns the interface `cloud.bridge`."""

from __future__ import annotations

import subprocess
from pathlib import Path

from embedded.cloud import Cloud, CloudError


def command(*parts: str | Path, input_text: str | None = None, check: bool = True) -> str:
    """Output of a program that is expected to succeed.

    Raises:
        CloudError: it failed; the message has the command and what it said.
    """
    done = subprocess.run([str(part) for part in parts], input=input_text, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise CloudError(f"'{' '.join(map(str, parts))}' failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def _interface(name: str) -> Path:
    return Path("/sys/class/net") / name


def _filter_rule(cloud: Cloud) -> tuple[str, ...]:
    return ("FORWARD", "-i", cloud.bridge, "-o", cloud.bridge, "-j", "ACCEPT")


def _bridged_traffic_is_filtered() -> bool:
    # with br_netfilter (Docker loads it) traffic between nodes passes the machine's FORWARD chain, whose policy may be DROP
    return Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists()


def ensure_bridge(cloud: Cloud) -> None:
    """Make `cloud.gateway` an address of this machine; safe to call from several processes at once."""
    if not _interface(cloud.bridge).exists():
        command("ip", "link", "add", cloud.bridge, "type", "bridge", check=False)
        if _bridged_traffic_is_filtered():
            command("iptables", "-I", *_filter_rule(cloud))
    command("ip", "address", "replace", f"{cloud.gateway}/24", "dev", cloud.bridge)
    command("ip", "link", "set", cloud.bridge, "up")


def remove_bridge(cloud: Cloud) -> None:
    """Undo `ensure_bridge`."""
    if _interface(cloud.bridge).exists():
        command("ip", "link", "delete", cloud.bridge)
        if _bridged_traffic_is_filtered():
            command("iptables", "-D", *_filter_rule(cloud), check=False)
