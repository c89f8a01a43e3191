"""The objects of manifests/, which have no value of a stack, as resources of a release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

MANIFESTS = Path(__file__).parent.parent / "manifests"
KINDS = {
    "ServiceAccount": (k8s.core.v1.ServiceAccount, "account"),
    "Role": (k8s.rbac.v1.Role, "role"),
    "RoleBinding": (k8s.rbac.v1.RoleBinding, "binding"),
    "NetworkPolicy": (k8s.networking.v1.NetworkPolicy, "traffic"),
}
"""Kinds that manifests/ may hold, and what a logical name calls them."""


def given_manifests(name: str, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """Every object of every file, in the release's namespace unless it names another; logical names begin with `name`."""
    made: list[pulumi.Resource] = []
    for file in sorted(MANIFESTS.glob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            kind, metadata = manifest.pop("kind"), {"namespace": namespace} | manifest.pop("metadata")
            manifest.pop("apiVersion")
            for subject in manifest.get("subjects", ()):
                subject["namespace"] = namespace
            logical = f"{name}-{metadata['name'].removeprefix('airflow-')}-{KINDS[kind][1]}"
            made.append(KINDS[kind][0](logical, metadata=metadata, **_snake(manifest), opts=opts))
    return made


def _snake(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The names that Pulumi's constructors give to a manifest's own fields."""
    return {"".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key): value for key, value in manifest.items()}
