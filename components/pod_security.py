"""What every pod of Airflow has in common: labels, and security contexts that the Pod Security Standard *restricted* asks for. Pure."""

from __future__ import annotations

from typing import Any

USER_ID = 50000
"""User of the Airflow image."""
CPU_LIMIT = "2"
"""A whole m5.large: starting is allowed to be fast, a runaway process is not allowed more."""

POD: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": 0,
    "fsGroup": 0,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
NAMESPACE_LABELS = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}


def selector(release: str, component: str) -> dict[str, str]:
    """Labels that select the pods of one component; Airflow's dashboards and tools expect just these."""
    return {"tier": "airflow", "component": component, "release": release}


def labels(release: str, component: str) -> dict[str, str]:
    """Labels of the pods of one component."""
    return {
        **selector(release, component),
        "app.kubernetes.io/name": "airflow",
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "airflow",
        "app.kubernetes.io/managed-by": "pulumi",
    }
