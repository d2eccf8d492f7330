"""The events file: everything that a run says."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

_HEARTBEAT_INTERVAL_S = 5.0
# Of the rest a run has one, said by rank 0.
_SAID_BY_ALL = ("heartbeat", "checkpoint", "failed")


class EventsFile:
    """
    Appends events to `<outputDir>/events.<rank>.jsonl`, one line each, in one write. What a run says once, such as its
    steps, is said by rank 0 and left out by the others.
    """

    def __init__(self, output_dir: str, rank: int = 0) -> None:
        path = Path(output_dir) / f"events.{rank}.jsonl"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._rank = rank
        self._seq = 0
        self._last = time.monotonic()

    def write(self, type: str, **fields: object) -> None:
        if self._rank != 0 and type not in _SAID_BY_ALL:
            return
        self._seq += 1
        self._last = time.monotonic()
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {"type": type, **fields, "seq": self._seq, "rank": self._rank, "time": now}
        os.write(self._descriptor, f"{json.dumps(event, allow_nan=False)}\n".encode())

    def heartbeat(self, step: int) -> None:
        """Says that the run is alive when nothing was said for a while. Called between micro-batches."""
        if time.monotonic() - self._last >= _HEARTBEAT_INTERVAL_S:
            self.write("heartbeat", step=step)

    def close(self) -> None:
        os.close(self._descriptor)
