"""A real Chromium without a window, for the tests that look at pages."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _chromium() -> str:
    """Debian's Chromium, installed if it is missing."""
    if shutil.which("chromium") is None:
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"], check=True, stdout=subprocess.DEVNULL)
    path = shutil.which("chromium")
    assert path, "apt-get installed no program named chromium"
    return path


@contextmanager
def browser() -> Iterator[Browser]:
    """One that is closed at the end."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        yield running
        running.close()
