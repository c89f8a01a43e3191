"""What keeps the unit tests fast, and independent of how busy the machine is."""

from __future__ import annotations

import gc

import pytest
from hypothesis import settings

# an example that was slow once, because the machine had other work, is no failure
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what a run or a build registered go to the same process, so that it is made once."""
    for item in items:
        shares = "run_main" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("the whole program" if shares else item.path.stem))


def pytest_collection_finish() -> None:
    """What is loaded by now stays: a garbage collector that looks through it again and again takes a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
