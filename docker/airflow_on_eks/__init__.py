"""What DAGs of this stack may import from it."""

from __future__ import annotations

from typing import Any

__all__ = ["ON_DEMAND_TEMPLATE", "on_demand"]

ON_DEMAND_TEMPLATE = "/opt/airflow/pod_templates/on_demand.yaml"
"""Beside the template of other worker pods; the stack writes both."""


def on_demand(pod_override: Any = None) -> dict[str, Any]:
    """`executor_config` of a task that must not be interrupted: its pod runs on an On-Demand node, at the On-Demand price.

    Args:
        pod_override: a `kubernetes.client.models.V1Pod` with what else the task's pod needs, such as more memory. It must not choose nodes.
    """
    config: dict[str, Any] = {"pod_template_file": ON_DEMAND_TEMPLATE}
    return config if pod_override is None else {**config, "pod_override": pod_override}
