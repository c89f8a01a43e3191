"""Which nodes have gone without a word, told by the leases that kubelets renew every ten seconds. Pure.

Times are this process's own: how long ago it saw a lease change. So no clock of a node has to be right.
"""

from __future__ import annotations

from collections.abc import Mapping

LOST: set[str] = set()
"""Nodes that this process holds for lost. Kubernetes goes on calling them ready for a while, and finds them invitingly empty."""


class NodeSilence:
    """What is known about each node's lease."""

    def __init__(self, seconds: float, blind_seconds: float) -> None:
        """Two limits.

        Args:
            seconds: a lease that was not renewed for so long belongs to a lost node.
            blind_seconds: after a pause of so long between two looks nothing is known, and the count begins again.
        """
        self._seconds, self._blind_seconds = seconds, blind_seconds
        self._seen: dict[str, tuple[str, float]] = {}
        self._looked: float | None = None

    def lost(self, renewals: Mapping[str, str], now: float) -> set[str]:
        """Nodes that are gone.

        Args:
            renewals: node to the time its lease was last renewed, as the lease says it.
            now: this process's monotonic clock.
        """
        blind = self._looked is None or now - self._looked > self._blind_seconds
        self._looked = now
        deleted = set() if blind else set(self._seen) - set(renewals)
        for node in deleted:
            del self._seen[node]
        for node, renewed in renewals.items():
            if blind or self._seen.get(node, ("", 0.0))[0] != renewed:
                self._seen[node] = (renewed, now)
        silent = {node for node in renewals if now - self._seen[node][1] >= self._seconds}
        # every node at once is no loss of nodes: it is the API server that hears nobody
        return deleted | (silent if len(silent) < len(renewals) else set())
