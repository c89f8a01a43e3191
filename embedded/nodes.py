"""The machines of the cluster's node groups: each is a set of namespaces with its own containerd, kubelet and kube-proxy.

Owns the folder `nodes`, the processes `node-*`, their network interfaces and control groups. A node sees the processors and the memory of
its instance type; how fast it is depends on this machine.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from embedded import efs_csi, node_config, processes, simulation
from embedded.cloud import PROJECT, Cloud, CloudError
from embedded.control_plane import kubectl
from embedded.network import command, ensure_bridge
from embedded.node_boot import check_folders, write_boot_file
from embedded.node_cgroups import make_cgroups, remove_cgroups
from embedded.node_config import MAX_NODES, NodeSpec

__all__ = ["NodeSpec", "delete_node_object", "nodes", "start_node", "start_nodes", "stop_node"]

READY_SECONDS = 120


def nodes(cloud: Cloud) -> list[NodeSpec]:
    """Every node that was started and not stopped."""
    files = sorted(cloud.path("nodes").glob("*/spec.json"))
    return [_spec(json.loads(file.read_text())) for file in files]


def _spec(values: dict[str, Any]) -> NodeSpec:
    return NodeSpec(**{name: value for name, value in values.items() if name != "number"} | {"taints": tuple(map(tuple, values["taints"]))})


def _folder(cloud: Cloud, name: str) -> Path:
    return cloud.home / "nodes" / name


def _process(name: str) -> str:
    return f"node-{name}"


@contextmanager
def _lock(cloud: Cloud) -> Iterator[None]:
    with (cloud.path("nodes") / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _take_number(cloud: Cloud, spec: NodeSpec, former: Iterable[str] = ()) -> tuple[NodeSpec, int]:
    """Give the node an address, and a name after it when it has none; rather not one whose former Node object is still there."""
    with _lock(cloud):
        taken = {json.loads(file.read_text())["number"] for file in cloud.path("nodes").glob("*/spec.json")}
        free = [number for number in range(1, MAX_NODES + 1) if number not in taken]
        own = [number for number in free if node_config.node_name(cloud, number) == spec.name]
        if not free:
            raise CloudError(f"{MAX_NODES} nodes run; no address is left for another")
        fresh = [number for number in free if node_config.node_name(cloud, number) not in former]
        number = (own or fresh or free)[0]
        spec = dataclasses.replace(spec, name=spec.name or node_config.node_name(cloud, number))
        file = cloud.path("nodes", spec.name) / "spec.json"
        if file.exists():
            raise CloudError(f"node {spec.name} runs already")
        file.write_text(json.dumps(dataclasses.asdict(spec) | {"number": number}, indent=2))
    return spec, number


def _number(cloud: Cloud, name: str) -> int | None:
    file = _folder(cloud, name) / "spec.json"
    return json.loads(file.read_text())["number"] if file.exists() else None


def _interface(cloud: Cloud, number: int) -> str:
    return f"{cloud.bridge}n{number}"


def _init_pid(cloud: Cloud, name: str) -> int | None:
    """The node's first process as this machine numbers it."""
    outer = processes.find(cloud, _process(name))
    if outer is None:
        return None
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    try:
        return int(children.read_text().split()[0])
    except (OSError, IndexError):
        return None


def _power_on(cloud: Cloud, spec: NodeSpec, number: int) -> None:
    boot_file = write_boot_file(cloud, spec, number, _folder(cloud, spec.name))
    enter = " && ".join(
        f"echo $$ > {shlex.quote(str(group / 'cgroup.procs'))}"
        for group in make_cgroups(_interface(cloud, number), memory_mib=spec.memory_mib, vcpu=spec.vcpu)
    )
    spaces = "--mount --net --pid --uts --ipc --cgroup --fork --kill-child --mount-proc"
    init = shlex.join([sys.executable, "-m", "embedded.node_init", str(boot_file)])
    line = ["/bin/sh", "-c", f"{enter} && exec unshare {spaces} {init}"]
    environment = {"PYTHONPATH": str(PROJECT), "AIRFLOW_EMBEDDED_HOME": str(cloud.home), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    has_init = lambda: _init_pid(cloud, spec.name) is not None  # noqa: E731
    processes.start(cloud, _process(spec.name), line, environment=environment, cwd=PROJECT, ready=has_init, seconds=10)
    cable = _interface(cloud, number)
    command("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", str(_init_pid(cloud, spec.name)))
    command("ip", "link", "set", cable, "master", cloud.bridge, "up")


def start_node(cloud: Cloud, spec: NodeSpec) -> NodeSpec:
    """Start one node and wait until it is Ready; see `start_nodes`."""
    return start_nodes(cloud, [spec])[0]


def start_nodes(cloud: Cloud, specs: Sequence[NodeSpec]) -> list[NodeSpec]:
    """Start nodes side by side and wait until all are Ready.

    Returns:
        The specs, with the name each node got.

    Raises:
        CloudError: a node did not start or was not Ready in time; the message has its kubelet's last lines. None of `specs` is left.
    """
    check_folders(cloud)
    started: list[NodeSpec] = []
    since = int(time.time())
    former = {item["metadata"]["name"]: item["spec"].get("providerID") for item in _node_objects(cloud)}
    try:
        for spec in specs:
            named, number = _take_number(cloud, spec, former)
            started.append(named)
            if named.name in former and (cloud.simulated or former[named.name] != node_config.provider_id(named)):
                # a kubelet would take the object over, with the provider id of the earlier instance at this address; kwok wants a new one
                kubectl(cloud, "delete", "node", named.name, "--ignore-not-found")
            if cloud.simulated:
                simulation.start_node(cloud, named, cloud.node_address(number))
            else:
                ensure_bridge(cloud)
                _power_on(cloud, named, number)
        _wait_ready(cloud, started, since=since)
        if cloud.simulated:
            efs_csi.simulated_ready(cloud, [spec.name for spec in started])
    except BaseException:
        for spec in started:
            stop_node(cloud, spec.name, sudden=True)
        raise
    return started


def _node_objects(cloud: Cloud) -> list[dict[str, Any]]:
    return json.loads(kubectl(cloud, "get", "nodes", "-o", "json"))["items"]


def ready_names(node_objects: list[dict[str, Any]], since: float) -> set[str]:
    """Names of the nodes that said they are Ready at `since` (seconds) or later: what one said before it lost power does not count."""
    return {
        item["metadata"]["name"]
        for item in node_objects
        for condition in item["status"].get("conditions", [])
        if condition["type"] == "Ready" and condition["status"] == "True"
        if datetime.fromisoformat(condition["lastHeartbeatTime"]).timestamp() >= since
    }


def _wait_ready(cloud: Cloud, specs: Sequence[NodeSpec], *, since: float) -> None:
    deadline = time.monotonic() + READY_SECONDS
    waiting = {spec.name for spec in specs}
    while waiting := waiting - ready_names(_node_objects(cloud), since):
        for name in waiting:
            machine = "k8s-kwok" if cloud.simulated else _process(name)
            if processes.find(cloud, machine) is None:
                raise CloudError(f"node {name} went off while it booted:\n{processes.tail(cloud, machine)}")
            if time.monotonic() > deadline:
                log = _folder(cloud, name) / "log" / "kubelet.log"
                lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else ["(its kubelet did not start)"]
                raise CloudError(f"node {name} was not Ready within {READY_SECONDS} s:\n" + "\n".join(lines))
        time.sleep(0.5)


def _shut_down(cloud: Cloud, name: str) -> None:
    pid = _init_pid(cloud, name)
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline and _init_pid(cloud, name) is not None:
        time.sleep(0.05)


def stop_node(cloud: Cloud, name: str, *, sudden: bool = False) -> None:
    """Switch a node off and remove its disk; a node that does not run is no error.

    Args:
        cloud: the cloud it belongs to.
        name: its Kubernetes name.
        sudden: True cuts the power and leaves the Node object to whoever notices, as a Spot reclaim without a drain does;
            False shuts it down in order and deletes the Node object.
    """
    number = _number(cloud, name)
    if not sudden and not cloud.simulated:
        _shut_down(cloud, name)
    if cloud.simulated:
        simulation.stop_node(cloud, name)
    processes.stop(cloud, _process(name), sudden=True)
    if number is not None:
        subprocess.run(["ip", "link", "delete", _interface(cloud, number)], capture_output=True, check=False)
        remove_cgroups(_interface(cloud, number))
    # by the rm program: a container's files can be too many and too deep for a quick walk in Python
    command("rm", "-rf", "--one-file-system", _folder(cloud, name))
    if not sudden:
        delete_node_object(cloud, name)


def delete_node_object(cloud: Cloud, name: str) -> None:
    """What the cloud's node controller does once it sees that the instance is gone."""
    kubectl(cloud, "delete", "node", name, "--ignore-not-found", "--wait=false")
