"""The CloudWatch Observability add-on: how it is configured and what its pods take. Pure.

Keys and requests are those of its chart (aws-observability/helm-charts, charts/amazon-cloudwatch-observability, values.yaml), whose values
are the add-on's configuration: EKS refuses a key that the version does not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from components import spot_pools

ADD_ON = "amazon-cloudwatch-observability"
SERVICE_ACCOUNT = "cloudwatch-agent"
"""Of the agent and of Fluent Bit, in the add-on's namespace amazon-cloudwatch."""
LOG_KINDS = ("application", "dataplane", "host", "performance")
"""Pods' output, node programs' logs, the machine's logs, and the agent's measurements from which CloudWatch makes metrics."""
OLDEST_MAJOR = 4
"""The first that can be told to leave programs alone, and to keep its controller to given nodes."""
OTEL_SINCE_MAJOR = 6
"""From there on a second pipeline runs beside the first, unless it is switched off (RELEASE_NOTES, v6.0.0)."""
DAEMONS_MILLICPU, DAEMONS_MIB = 250 + 50, 128 + 25
"""Requests of the agent and of Fluent Bit, on every node."""
CONTROLLER_REQUESTS = {"cpu": "100m", "memory": "64Mi"}


def log_groups(cluster: str) -> dict[str, str]:
    """Kind to the name of the log group that the add-on writes to, whether or not it exists."""
    return {kind: f"/aws/containerinsights/{cluster}/{kind}" for kind in LOG_KINDS}


def configuration(version: str) -> str:
    """What the stack asks of a version of the add-on, as JSON.

    The daemons keep their own toleration of everything, startup taints included: each node is watched from its first moment. The controller
    tolerates nothing and stays on On-Demand nodes. It instruments no program by itself: it would change pods that are Airflow's.

    Raises:
        ValueError: the version cannot be told that.
    """
    found = re.match(r"v?(\d+)\.", version)
    major = int(found[1]) if found else OLDEST_MAJOR
    if major < OLDEST_MAJOR:
        raise ValueError(
            f"EKS's default version of {ADD_ON} is {version}, which cannot be told to change no pods and to keep its controller off Spot "
            f"nodes; {OLDEST_MAJOR}.0 can: take a newer cluster.kubernetesVersion, or set cluster.containerInsights to false"
        )
    values: dict[str, Any] = {
        "containerLogs": {"enabled": True},
        "manager": {
            "nodeSelector": {spot_pools.LIFECYCLE_LABEL: spot_pools.ON_DEMAND_LIFECYCLE},
            "applicationSignals": {"autoMonitor": {"monitorAllServices": False}},
        },
    }
    if major >= OTEL_SINCE_MAJOR:
        values["otelContainerInsights"] = {"enabled": False}
    return json.dumps(values)


def controller(values: Mapping[str, Any]) -> dict[str, Any]:
    """The controller's pod as this configuration makes it, as far as scheduling goes."""
    manager = values.get("manager") or {}
    placed = {key: manager[key] for key in ("nodeSelector", "tolerations", "affinity") if key in manager}
    return {**placed, "containers": [{"name": "manager", "resources": {"requests": CONTROLLER_REQUESTS}}]}
