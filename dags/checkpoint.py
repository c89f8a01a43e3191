"""Progress of a job that may be killed at any moment: one small file for each piece that is done.

A file is written beside its place and renamed into it, so a piece is either done or not, also on a network file system and when the
machine disappears in between.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SUFFIX = ".json"


class Checkpoint:
    """The pieces of one job, in one folder that outlives the machine the job runs on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def done(self) -> dict[int, Any]:
        """Result of each finished piece."""
        # a leftover of a killed write has another suffix and counts for nothing
        return {int(file.stem): json.loads(file.read_text()) for file in sorted(self.folder.glob(f"*{SUFFIX}"))}

    def remaining(self, pieces: int) -> Iterator[int]:
        """Numbers of the pieces that are still to do, from 0."""
        finished = self.done()
        return (piece for piece in range(pieces) if piece not in finished)

    def finish(self, piece: int, result: Any) -> None:
        """Record a piece; afterwards no try does it again."""
        scratch = self.folder / f".{piece:06}.{uuid.uuid4().hex}"
        with scratch.open("w") as out:
            json.dump(result, out)
            out.flush()
            os.fsync(out.fileno())
        scratch.rename(self.folder / f"{piece:06}{SUFFIX}")

    def forget(self) -> None:
        """Remove every record, once the job's result is safe elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)
