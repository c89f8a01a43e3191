"""Nodes that exist only as objects: the real control plane schedules onto them, kwok says that their pods run and that Jobs complete.

For tests of what is scheduled where and of how the engine waits, without the weight and the time of real nodes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from embedded import node_config
from embedded.cloud import POD_CIDR, Cloud
from embedded.node_config import NodeSpec
from embedded.toolchain import KUBERNETES_VERSION

MANAGED = "kwok.x-k8s.io/node"
"""Annotation of the nodes that are kept alive; without it a node's lease runs out, as when a machine loses power."""
LEASE_SECONDS = 40


_NODE_READY = """
conditions:
{{ range NodeConditions }}
- type: {{ .type }}
  status: {{ .status | Quote }}
  reason: {{ .reason }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ Now | Quote }}
{{ end }}
phase: Running
"""
_POD_RUNNING = """
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
conditions:
{{ range $type := list "Initialized" "Ready" "ContainersReady" }}
- {type: {{ $type }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  restartCount: 0
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName (or .spec.hostNetwork false) .metadata.uid .metadata.name .metadata.namespace | Quote }}
"""
_POD_SUCCEEDED = """
{{ $now := Now }}
phase: Succeeded
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  restartCount: 0
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
{{ end }}
"""
_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_Match = tuple[str, str, list[str]]
_LIVE: _Match = (".metadata.deletionTimestamp", "DoesNotExist", [])
_STAGES: dict[str, tuple[str, list[_Match], dict[str, Any]]] = {
    "node-ready": ("Node", [(_READY, "NotIn", ["True"])], {"statusTemplate": _NODE_READY}),
    "pod-running": ("Pod", [_LIVE, (".status.phase", "In", ["Pending"])], {"statusTemplate": _POD_RUNNING}),
    "pod-succeeded": (
        "Pod",
        [_LIVE, (".status.phase", "In", ["Running"]), (".metadata.ownerReferences.[].kind", "In", ["Job"])],
        {"statusTemplate": _POD_SUCCEEDED},
    ),
    "pod-gone": ("Pod", [(".metadata.deletionTimestamp", "Exists", [])], {"delete": True}),
}
"""kwok's rules: kind of object, what it must match, what then happens."""


def kwok_configuration() -> str:
    """kwok's configuration file: nodes are Ready at once, pods run, those of Jobs succeed, deleted ones go."""
    documents = []
    for name, (kind, matches, then) in _STAGES.items():
        rules = [{"key": key, "operator": operator} | ({"values": values} if values else {}) for key, operator, values in matches]
        spec = {"resourceRef": {"apiGroup": "v1", "kind": kind}, "selector": {"matchExpressions": rules}, "next": then}
        documents.append({"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec})
    return "\n---\n".join(json.dumps(document, indent=2) for document in documents)


def kwok_flags(kubeconfig: Path, configuration: Path) -> dict[str, object]:
    """Flags of kwok: only nodes started here, real leases."""
    return {
        "kubeconfig": kubeconfig,
        "config": configuration,
        "manage-nodes-with-annotation-selector": f"{MANAGED}=fake",
        "node-lease-duration-seconds": LEASE_SECONDS,
        "cidr": POD_CIDR,
    }


def allocatable(spec: NodeSpec) -> dict[str, str]:
    """What is left for pods, as a kubelet works it out: capacity less the reservation and the eviction threshold."""
    reserved = node_config.reserved(spec)
    memory = node_config.memory_kib(spec) - (int(reserved["memory"].removesuffix("Mi")) + node_config.EVICTION_MIB) * 1024
    return {
        "cpu": f"{spec.vcpu * 1000 - int(reserved['cpu'].removesuffix('m'))}m",
        "memory": f"{memory}Ki",
        "pods": str(node_config.max_pods(spec)),
    }


def node_object(cloud: Cloud, spec: NodeSpec, address: str) -> dict[str, Any]:
    """The Node object a kubelet of that machine would register."""
    kubelet_labels = {"kubernetes.io/hostname": spec.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    capacity = {"cpu": str(spec.vcpu), "memory": f"{node_config.memory_kib(spec)}Ki", "pods": str(node_config.max_pods(spec))}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": spec.name, "labels": kubelet_labels | node_config.labels(cloud, spec), "annotations": {MANAGED: "fake"}},
        "spec": {
            "providerID": node_config.provider_id(spec),
            "taints": [{"key": key, "value": value, "effect": effect} for key, value, effect in spec.taints],
        },
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": spec.name}],
            "capacity": capacity,
            "allocatable": allocatable(spec),
            "nodeInfo": {"kubeletVersion": KUBERNETES_VERSION},
        },
    }


def start_node(cloud: Cloud, spec: NodeSpec, address: str) -> None:
    """Register the node; kwok makes it Ready."""
    from embedded.control_plane import kubectl

    kubectl(cloud, "create", "-f", "-", input_text=json.dumps(node_object(cloud, spec, address)))


def stop_node(cloud: Cloud, name: str) -> None:
    """Stop keeping the node alive."""
    from embedded.control_plane import kubectl

    kubectl(cloud, "annotate", "node", name, f"{MANAGED}-", check=False)
