"""What makes a node look like an EKS node: labels, reservations, and the configuration of its programs. Pure: no process, no mount."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded.cloud import DNS_ADDRESS, POD_CIDR, Cloud
from embedded.oci import PAUSE_IMAGE

MAX_NODES = 200
"""Addresses on the bridge from .11 up, and as many pod ranges."""
MEMORY_OVERHEAD = 0.075
"""Share of an instance type's memory that its operating system never sees; Karpenter's cautious estimate (VM_MEMORY_OVERHEAD_PERCENT)."""
PODS_BY_VCPU = {2: 29, 4: 58, 8: 58, 16: 234}
"""Pods that fit the network interfaces of the m, c and r types of that size (AWS: awslabs/amazon-eks-ami, eni-max-pods.txt)."""
PODS_OF_SMALL_TYPES = {"t3.small": 11, "t3a.small": 8, "t3.medium": 17, "t3a.medium": 17, "t3.large": 35, "t3a.large": 35}
MOST_PODS = 234
EVICTION_MIB = 100
"""Free memory below which a kubelet evicts pods."""
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CERTIFICATES_OF_REGISTRIES = "/run/registries"
CNI_CONFIGURATION = "/run/cni-configuration"
RESOLV_CONF = "/run/resolv.conf"


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """A machine of a node group, as EC2 and EKS describe it."""

    name: str = ""
    """Kubernetes name; empty: named after the address it gets, as EKS does."""
    group: str
    """Managed node group it belongs to."""
    capacity_type: str
    """SPOT or ON_DEMAND."""
    instance_type: str
    vcpu: int
    memory_mib: int
    zone: str
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[tuple[str, str, str], ...] = ()
    """Key, value and effect, spelled as Kubernetes does (NoSchedule)."""
    instance_id: str


def node_name(cloud: Cloud, number: int) -> str:
    """EKS's name for a node: its address and the region's internal domain."""
    return f"ip-{cloud.node_address(number).replace('.', '-')}.{cloud.region}.compute.internal"


def pod_cidr(number: int) -> str:
    """Addresses of the pods on the n-th node."""
    return f"{POD_CIDR.rsplit('.', 2)[0]}.{number}.0/24"


def labels(cloud: Cloud, spec: NodeSpec) -> dict[str, str]:
    """The labels EKS gives a managed node, and the group's own."""
    return spec.labels | {
        "eks.amazonaws.com/nodegroup": spec.group,
        "eks.amazonaws.com/capacityType": spec.capacity_type,
        "node.kubernetes.io/instance-type": spec.instance_type,
        "topology.kubernetes.io/region": cloud.region,
        "topology.kubernetes.io/zone": spec.zone,
    }


def provider_id(spec: NodeSpec) -> str:
    """How Kubernetes names the EC2 instance behind a node."""
    return f"aws:///{spec.zone}/{spec.instance_id}"


def max_pods(spec: NodeSpec) -> int:
    """Most pods EKS lets run on the instance type."""
    return PODS_OF_SMALL_TYPES.get(spec.instance_type) or PODS_BY_VCPU.get(spec.vcpu, MOST_PODS)


def memory_kib(spec: NodeSpec) -> int:
    """Memory the node's operating system sees."""
    return int(spec.memory_mib * 1024 * (1 - MEMORY_OVERHEAD))


def reserved(spec: NodeSpec) -> dict[str, str]:
    """What EKS keeps for the node's own programs (EKS AMI bootstrap: CPU in steps by core, memory by the number of pods)."""
    steps = (60, 10, 5, 5)
    millicores = sum(steps[: spec.vcpu]) + 2.5 * max(spec.vcpu - len(steps), 0)
    return {"cpu": f"{math.floor(millicores)}m", "memory": f"{255 + 11 * max_pods(spec)}Mi", "ephemeral-storage": "1Gi"}


def kubelet_configuration(cloud: Cloud, spec: NodeSpec, *, ca: Path, certificate: Path, key: Path) -> dict[str, Any]:
    """The kubelet's configuration file."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": str(ca)}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": RESOLV_CONF,
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,  # lowering it needs a capability that root in a container lacks
        "providerID": provider_id(spec),
        "maxPods": max_pods(spec),
        "kubeReserved": reserved(spec),
        # the disk is the whole machine's: a share of it says nothing about this node
        "evictionHard": {
            "memory.available": f"{EVICTION_MIB}Mi",
            "nodefs.available": "1Gi",
            "imagefs.available": "1Gi",
            "nodefs.inodesFree": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": False,
        "registerWithTaints": [{"key": key_, "value": value, "effect": effect} for key_, value, effect in spec.taints],
    }


def kube_proxy_configuration(spec: NodeSpec, kubeconfig: Path) -> dict[str, Any]:
    """kube-proxy's configuration file."""
    keep = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": spec.name,
        "mode": "iptables",
        "clusterCIDR": POD_CIDR,
        "oomScoreAdj": 0,
        "conntrack": keep,  # these settings belong to the whole machine and stay as they are
    }


def containerd_configuration(cni_plugins: Path, snapshotter: str) -> str:
    """containerd's configuration file."""
    plugin = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "{CONTAINERD_SOCKET}"
[{plugin}]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
disable_hugetlb_controller = true
tolerate_missing_hugetlb_controller = true
enable_unprivileged_ports = true
[{plugin}.containerd]
snapshotter = "{snapshotter}"
discard_unpacked_layers = true
[{plugin}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{plugin}.containerd.runtimes.runc.options]
SystemdCgroup = false
[{plugin}.cni]
bin_dir = "{cni_plugins}"
conf_dir = "{CNI_CONFIGURATION}"
[{plugin}.registry]
config_path = "{CERTIFICATES_OF_REGISTRIES}"
"""


def registry_hosts(cloud: Cloud) -> str:
    """containerd's redirect from a registry's name to the one on this machine."""
    address = f"http://{cloud.registry_address}"
    return f'server = "{address}"\n[host."{address}"]\ncapabilities = ["pull", "resolve"]\n'


def cni_configuration(number: int) -> dict[str, Any]:
    """Pod network: every pod's traffic is routed, never bridged, so that Service addresses work between pods of one node too."""
    addresses = {"type": "host-local", "ranges": [[{"subnet": pod_cidr(number)}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/cni"}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": False, "ipam": addresses}, ports]}


def processor_files(spec: NodeSpec) -> dict[str, str]:
    """Files of /sys/devices/system by which programs count processors, for a machine of the instance type's size."""
    files = {"node/node0/meminfo": f"Node 0 MemTotal: {memory_kib(spec)} kB\n"}
    for number in range(spec.vcpu):
        for folder in ("cpu", "node/node0"):
            files[f"{folder}/cpu{number}/topology/core_id"] = f"{number // 2}\n"
            files[f"{folder}/cpu{number}/topology/physical_package_id"] = "0\n"
    return files


def memory_file(spec: NodeSpec) -> str:
    """A /proc/meminfo for a machine of the instance type's size."""
    return f"MemTotal:       {memory_kib(spec)} kB\nMemFree:        {memory_kib(spec)} kB\nSwapTotal:      0 kB\n"
