"""What Pulumi's rules say about Kubernetes objects: names, changes that need a new object, drift. Pure."""

from __future__ import annotations

import base64
import copy
from typing import Any

from embedded.providers.kubernetes_api import Object
from embedded.providers.properties import Properties
from embedded.providers.provider import ProviderError

AUTONAMED = "pulumi.com/autonamed"
FIELD_MANAGER = "__fieldManager"
REFUSED_GROUPS = ("helm.sh", "yaml", "kustomize")
SERVER_SET = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink", "deletionTimestamp")
_WORKLOAD = {"spec.selector"}
REPLACE_KEYS: dict[tuple[str, str], set[str]] = {
    # pulumi-kubernetes, provider/pkg/provider/diff.go ("forceNew"), and what the API server refuses to change in place
    ("apps", "Deployment"): _WORKLOAD,
    ("apps", "DaemonSet"): _WORKLOAD,
    ("apps", "StatefulSet"): _WORKLOAD | {f"spec.{name}" for name in ("podManagementPolicy", "serviceName", "volumeClaimTemplates")},
    ("batch", "Job"): {f"spec.{name}" for name in ("completions", "completionMode", "selector", "template")},
    ("", "PersistentVolumeClaim"): {
        f"spec.{name}"
        for name in ("accessModes", "selector", "storageClassName", "volumeName", "volumeMode", "dataSource", "dataSourceRef")
    },
    ("", "PersistentVolume"): {f"spec.{name}" for name in ("csi", "nfs", "hostPath", "local", "volumeMode", "nodeAffinity")},
    ("", "Pod"): {"spec"},
    ("", "Service"): {"spec.clusterIP", "spec.type"},
    ("", "Secret"): {"type", "immutable"},
    ("", "ConfigMap"): {"immutable"},
    ("storage.k8s.io", "StorageClass"): {"parameters", "provisioner", "reclaimPolicy", "volumeBindingMode", "mountOptions"},
    ("scheduling.k8s.io", "PriorityClass"): {"value", "preemptionPolicy"},
    ("rbac.authorization.k8s.io", "RoleBinding"): {"roleRef"},
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): {"roleRef"},
}
IDENTITY = {"apiVersion", "kind", "metadata.name", "metadata.namespace"}
CONTENT = {"data", "binaryData", "stringData"}
HONOURED = {"kubeconfig", "context", "cluster", "namespace", "clusterIdentifier", "deleteUnreachable", "enableConfigMapMutable"} | {
    "enableSecretMutable",
    "enablePatchForce",
    "upsertExistingObjects",
}
HARMLESS = {"suppressDeprecationWarnings", "suppressHelmHookWarnings", "helmReleaseSettings", "kubeClientSettings", "enableServerSideApply"}


def token(type: str) -> tuple[str, str]:
    """apiVersion and kind of a Pulumi type token."""
    group_version, kind = type.split(":")[1:]
    if group_version.split("/")[0] in REFUSED_GROUPS or kind.endswith("Patch"):
        raise ProviderError(
            f"{type} is not supported by the embedded kubernetes provider: write the objects as resources of their own kinds"
        )
    return group_version.removeprefix("core/"), kind


def group(inputs: Properties) -> str:
    """API group of an object; empty for the core group."""
    name, slash, _ = str(inputs.get("apiVersion")).partition("/")
    return name if slash else ""


def is_builtin(inputs: Properties) -> bool:
    """Whether the kind is Kubernetes' own, and not one that a program may first have to install."""
    name = group(inputs)
    return "." not in name or (name.endswith(".k8s.io") and "x-k8s" not in name)


def reference(inputs: Properties) -> str:
    """NAMESPACE/NAME, or NAME: the id of the resource."""
    metadata = inputs.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}  # it may be unknown in a preview
    return "/".join(str(metadata[key]) for key in ("namespace", "name") if metadata.get(key))


def without_nulls(value: Any) -> Any:
    """A body for the server: null would mean something else there."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def as_kept(inputs: Properties) -> Properties:
    """What to send: a Secret's `stringData` as the `data` that the server keeps.

    By server-side apply a key that leaves `stringData` stays in `data` for good (kubernetes/kubernetes#108008); Pulumi's own provider
    sends `data` too.
    """
    if (group(inputs), inputs.get("kind")) != ("", "Secret") or not inputs.get("stringData"):
        return inputs
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in inputs["stringData"].items()}
    return {key: value for key, value in inputs.items() if key != "stringData"} | {"data": (inputs.get("data") or {}) | encoded}


def outputs_of(live: Object) -> Properties:
    """The live object as the state keeps it."""
    live = copy.deepcopy(live)
    live["metadata"].pop("managedFields", None)
    return live


def cleaned(live: Object) -> Properties:
    """What the inputs of an imported object must have been."""
    inputs = {key: copy.deepcopy(value) for key, value in live.items() if key != "status"}
    for key in SERVER_SET:
        inputs["metadata"].pop(key, None)
    return inputs


def live_inputs(inputs: Properties, state: Properties, live: Object) -> Properties:
    """The inputs with what differs from when this stack last saw the object: values the server merely rewrote stay as they were."""

    def merged(given: Any, seen: Any, now: Any) -> Any:
        if seen == now:
            return given
        if isinstance(given, dict) and isinstance(now, dict):
            seen = seen if isinstance(seen, dict) else {}
            pairs = {key: merged(value, seen.get(key), now.get(key)) for key, value in given.items()}
            return {key: value for key, value in pairs.items() if value is not None or key in now}
        if isinstance(given, list) and isinstance(now, list) and len(given) == len(now):
            seen = seen if isinstance(seen, list) and len(seen) == len(now) else [None] * len(now)
            return [merged(*each) for each in zip(given, seen, now, strict=True)]
        return now

    found: Properties = merged(inputs, _with_text(inputs, state), _with_text(inputs, live))
    return found


def _with_text(inputs: Properties, side: Object) -> Object:
    """A Secret with the `stringData` of the inputs, which the server keeps only as `data`."""
    names = inputs.get("stringData") or {}
    data = side.get("data") or {}
    text = {name: base64.b64decode(data[name]).decode(errors="replace") for name in names if name in data}
    return side | {"stringData": text} if names else side
