"""Takes the EFS driver's startup taint off a node, once: the driver's duty and nobody else's.

A real node's driver process does it when the kubelet says that it has registered the driver. For a simulated node, which has no driver,
it is done as soon as the node is ready and the add-on installed. A taint that is put on a node later stays, as on AWS.
"""

from __future__ import annotations

import json
import time
import urllib.request
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
    for _ in range(TRIES):
        try:
            patch = removal(ask(cloud, node))
            if patch:
                ask(cloud, node, patch)
            return
        except OSError as problem:  # HTTP errors are
            refusal = problem
            time.sleep(RETRY_SECONDS)
    raise CloudError(f"the startup taint of node {node} cannot be taken off: {refusal}") from refusal


def ask(cloud: Cloud, node: str, patch: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A Node object, after this JSON patch if one is given; by HTTP, as a kubectl for each question would take longer than a node."""
    from embedded.control_plane import administrator

    request = urllib.request.Request(
        f"{cloud.kubernetes_endpoint}/api/v1/nodes/{node}",
        data=json.dumps(patch).encode() if patch else None,
        method="PATCH" if patch else "GET",
        headers={"Content-Type": "application/json-patch+json"},
    )
    with urllib.request.urlopen(request, timeout=10, context=administrator(cloud)) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
