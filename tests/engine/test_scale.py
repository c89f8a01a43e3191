"""Scheduling at a small scale: where everything lands, and that nothing stays behind when half of the Spot nodes vanish (row A15).

Times are `make bench-scale`'s: this machine's tests run side by side, and no ratio would mean anything here.
"""

from __future__ import annotations

from pathlib import Path

from bench import scale
from bench.scale import Size


def test_a15_every_task_is_on_spot_and_finds_another_node_when_half_of_them_vanish(tmp_path: Path) -> None:
    size = Size(spot=100, on_demand=3, pods=500, rounds=1)
    result = scale.measure(tmp_path / "cloud", size, collector=False)
    assert result.astray == ()
    assert result.lost_pods >= 200, "the pods were spread, so half of the nodes held about half of them"
    assert result.unbound_after_loss == 0
    assert not (tmp_path / "cloud").exists()
