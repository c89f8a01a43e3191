"""Takes the EFS driver's startup taint off a node, once: the driver's duty and nobody else's.

A real node's driver process does it when the kubelet says that it has registered the driver. For a simulated node, which has no driver,
it is done as soon as the node is ready and the add-on installed. A taint that is put on a node later stays, as on AWS.
"""

from __future__ import annotations

import json
import time
from typing import Any

from components.efs_driver import STARTUP_TAINT
from embedded.cloud import Cloud, CloudError

RETRY_SECONDS = 1.0
TRIES = 120


def removal(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The JSON patch that takes the taint off; empty: it is not there. It fails if the taints have changed meanwhile."""
    taints = node["spec"].get("taints") or []
    kept = [taint for taint in taints if taint["key"] != STARTUP_TAINT]
    if len(kept) == len(taints):
        return []
    return [{"op": "test", "path": "/spec/taints", "value": taints}, {"op": "replace", "path": "/spec/taints", "value": kept}]


def take_off(cloud: Cloud, node: str) -> None:
    """Take the taint off; what comes in between (the node controller writes taints too) is tried again.

    Raises:
        CloudError: the Kubernetes API refused for two minutes.
    """
    from embedded.control_plane import kubectl

    for attempt in range(1, TRIES + 1):
        try:
            patch = removal(json.loads(kubectl(cloud, "get", "node", node, "--output", "json")))
            if not patch:
                return
            kubectl(cloud, "patch", "node", node, "--type", "json", "--patch", json.dumps(patch))  # and look again
        except CloudError:
            if attempt == TRIES:
                raise
            time.sleep(RETRY_SECONDS)
