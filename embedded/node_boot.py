"""Writes everything a node needs before it is switched on: the configuration of its programs, and the boot file of its first process."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from embedded import efs_csi, node_config, oci, pki, public_images
from embedded.cloud import POD_AGENT, POD_AGENT_PORT, POD_AWS_PORT, POD_CIDR, PROJECT, Cloud, CloudError
from embedded.control_plane import client_certificate, kubeconfig
from embedded.network import command
from embedded.node_cgroups import hierarchies_of_machine
from embedded.node_config import MAX_NODES, NodeSpec
from embedded.toolchain import CNI_PLUGINS, cache_dir, go_tools

IMAGES_LOADED = "/run/images-loaded"
OWN_FOLDERS = {"lib": "/var/lib", "log": "/var/log"}
"""Folder of the node to where the node sees it."""
SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet sets on its machine; nodes see these values, and the real machine's stay as they are."""


def _write_masks(folder: Path, spec: NodeSpec) -> dict[str, str]:
    """Files and folders the node sees in place of the machine's own."""
    contents = {f"sysctl/{name}": f"{value}\n" for name, value in SYSCTLS.items()} | {"meminfo": node_config.memory_file(spec)}
    contents |= {f"system/{name}": content for name, content in node_config.processor_files(spec).items()}
    for name, content in contents.items():
        file = folder / "masks" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    targets = {"meminfo": "/proc/meminfo", "system/cpu": "/sys/devices/system/cpu", "system/node": "/sys/devices/system/node"}
    targets |= {f"sysctl/{name}": f"/proc/sys/{name}" for name in SYSCTLS}
    return {str(folder / "masks" / name): target for name, target in targets.items()}


def _services(cloud: Cloud, spec: NodeSpec, address: str, folder: Path) -> list[dict[str, Any]]:
    programs = go_tools("kubernetes")
    certificate = pki.issue(
        cloud, f"node-{spec.name}", common_name=f"system:node:{spec.name}", organization="system:nodes", hosts=(address, spec.name)
    )
    kubelet = node_config.kubelet_configuration(cloud, spec, ca=pki.ca(cloud)[0], certificate=certificate[0], key=certificate[1])
    proxy = node_config.kube_proxy_configuration(spec, kubeconfig(cloud, "kube-proxy", client_certificate(cloud, "kube-proxy")))
    snapshotter = "native" if _is_overlay(folder) else "overlayfs"
    for name, content in (
        ("kubelet.json", json.dumps(kubelet, indent=2)),
        ("kube-proxy.json", json.dumps(proxy, indent=2)),
        ("containerd.toml", node_config.containerd_configuration(CNI_PLUGINS, snapshotter)),
    ):
        (folder / name).write_text(content)
    client = kubeconfig(cloud, f"node-{spec.name}", certificate)
    # before the kubelet starts: a pod that finds its image missing waits ten seconds before it looks again
    imports = [f"ctr -n k8s.io images import {shlex.quote(str(archive))}" for archive in (oci.pause_archive(), oci.coredns_archive())]
    load = " && ".join([*imports, f"touch {IMAGES_LOADED}"])
    pairs = ",".join(f"{key}={value}" for key, value in node_config.labels(cloud, spec).items())
    kubelet_line = [
        str(programs["kubelet"]),
        f"--config={folder / 'kubelet.json'}",
        f"--kubeconfig={client}",
        f"--hostname-override={spec.name}",
        f"--node-ip={address}",
        f"--node-labels={pairs}",
    ]
    return [
        {"name": "containerd", "command": [shutil.which("containerd"), "--config", str(folder / "containerd.toml")]},
        {"name": "images", "command": ["/bin/sh", "-c", load], "needs": node_config.CONTAINERD_SOCKET, "once": True},
        {"name": "kubelet", "command": kubelet_line, "needs": IMAGES_LOADED},
        {"name": "kube-proxy", "command": [str(programs["kube-proxy"]), f"--config={folder / 'kube-proxy.json'}"]},
        {"name": "efs-csi", "command": efs_csi.command(cloud, spec.name), "needs": str(efs_csi.installed_flag(cloud))},
    ]


def _is_overlay(folder: Path) -> bool:
    return command("stat", "--file-system", "--format=%T", folder).strip() == "overlayfs"


def write_boot_file(cloud: Cloud, spec: NodeSpec, number: int, folder: Path) -> Path:
    """Fill the node's folder; returns the boot file."""
    for name in OWN_FOLDERS:
        (folder / name).mkdir(exist_ok=True)
    address = cloud.node_address(number)
    others = [other for other in range(1, MAX_NODES + 1) if other != number]
    boot = {
        "hostname": spec.name,
        "address": address,
        "gateway": cloud.gateway,
        "pods": POD_CIDR,
        "routes": {node_config.pod_cidr(other): cloud.node_address(other) for other in others},
        "redirects": [
            (POD_AGENT, 80, f"{cloud.gateway}:{POD_AGENT_PORT}"),
            (cloud.gateway, 443, f"{cloud.gateway}:{POD_AWS_PORT}"),
        ],
        "folders": {str(folder / name): target for name, target in OWN_FOLDERS.items()},
        "masks": _write_masks(folder, spec),
        "files": {
            node_config.RESOLV_CONF: f"search {cloud.region}.compute.internal\n",
            **{
                f"{node_config.CERTIFICATES_OF_REGISTRIES}/{host}/hosts.toml": node_config.registry_hosts(cloud)
                for host in (cloud.registry_host, *public_images.REGISTRIES)
            },
            f"{node_config.CNI_CONFIGURATION}/10-pods.conflist": json.dumps(node_config.cni_configuration(number)),
        },
        "cgroup_hierarchies": hierarchies_of_machine(),
        "services": _services(cloud, spec, address, folder),
    }
    file = folder / "boot.json"
    file.write_text(json.dumps(boot, indent=2))
    return file


def check_folders(cloud: Cloud) -> None:
    """Refuse folders that nodes could not see.

    Raises:
        CloudError: a folder the nodes need is under one that they have of their own.
    """
    for folder in (cloud.home, PROJECT, cache_dir(), Path(sys.prefix)):
        for hidden in (*OWN_FOLDERS.values(), "/run"):
            if folder.resolve().is_relative_to(hidden):
                raise CloudError(f"{folder} is under {hidden}, which nodes have of their own; move it elsewhere")
