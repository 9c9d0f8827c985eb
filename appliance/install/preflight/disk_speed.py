"""How long a folder's disk takes to make something durable: each answer waits for that before its first token."""

from __future__ import annotations

import contextlib
import math
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TRIES = 100
SECONDS = 2.0
"""No longer than this is spent on a slow disk, however few tries that are."""
BYTES = 4096
"""About what a batch of a few entries comes to in the log's journal."""


def fsync_p99_ms(folder: Path, tries: int = TRIES, seconds: float = SECONDS) -> float | None:
    """The 99th percentile of writing ``BYTES`` and syncing them, in milliseconds; None where that cannot be tried.

    The file has no name (``O_TMPFILE``) and is gone when it is closed: nothing of it is left, whatever happens.
    """
    with contextlib.suppress(OSError):  # not writable, full, or a file system without unnamed files
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            return _percentile(_measured(descriptor, tries, seconds))
        finally:
            os.close(descriptor)
    return None


def _measured(descriptor: int, tries: int, seconds: float) -> list[float]:
    data, found = os.urandom(BYTES), []
    end = time.monotonic() + seconds
    for number in range(tries):
        begun = time.monotonic()
        os.pwrite(descriptor, data, number * BYTES)
        os.fsync(descriptor)
        done = time.monotonic()
        found.append((done - begun) * 1000)
        if done > end:
            break
    return found


def _percentile(measured: list[float]) -> float:
    return sorted(measured)[math.ceil(0.99 * len(measured)) - 1]
