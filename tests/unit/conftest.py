"""What keeps the unit tests fast, and independent of how busy the machine is."""

from __future__ import annotations

import gc

gc.disable()  # until all is loaded: to look through what comes in, again and again, takes a third of the loading

from hypothesis import settings  # noqa: E402

# an example that was slow once, because the machine had other work, is no failure
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_collection_finish() -> None:
    """What is loaded by now stays: a garbage collector that looks through it again and again takes a fifth of the time."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 20)


def pytest_sessionfinish() -> None:
    """One look for what tests left behind; a process that ends need not be looked through again and again either."""
    gc.collect()
    gc.freeze()
