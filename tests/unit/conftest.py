"""What keeps the unit tests fast, and independent of how busy the machine is."""

from __future__ import annotations

import gc

from hypothesis import settings

# an example that was slow once, because the machine had other work, is no failure
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_collection_finish() -> None:
    """What is loaded by now stays: a garbage collector that looks through it again and again takes a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
