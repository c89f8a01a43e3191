"""Pods whose containers can never start, told apart from those that are merely slow: nobody waits twenty minutes for a misspelt image."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from embedded.providers.kubernetes_api import Object

PATIENCE_SECONDS = {
    "InvalidImageName": 0,
    "ErrImageNeverPull": 0,
    # a Secret or ConfigMap that the same program makes may come a moment later
    "CreateContainerConfigError": 60,
    "CreateContainerError": 60,
    # the kubelet tries again after 10, 20 and 40 seconds: a registry that was only busy has answered by then
    "ErrImagePull": 90,
    "ImagePullBackOff": 90,
}
"""Reason of a waiting container to how long it may go on; a container in any other state is left alone."""


class StuckPod:
    """Watches the newest pod of an object, which has the object's present template."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pod = ""
        self._since = 0.0

    def look(self, pods: Sequence[Object]) -> tuple[str, bool]:
        """What keeps the newest pod from starting, in the cluster's own words, and whether waiting longer is pointless."""
        pod = max(pods, key=lambda item: str(item["metadata"].get("creationTimestamp")), default=None)
        reason, text = _hindrance(pod) if pod else ("", "")
        if pod is None or not reason:
            self._pod = ""
            return "", False
        if pod["metadata"]["uid"] != self._pod:
            self._pod, self._since = pod["metadata"]["uid"], self._clock()
        return text, self._clock() - self._since >= PATIENCE_SECONDS[reason]


def _hindrance(pod: Object) -> tuple[str, str]:
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in PATIENCE_SECONDS:
            return reason, f"pod {pod['metadata']['name']}, container {container['name']}: {reason} {waiting.get('message', '')}".rstrip()
    return "", ""
