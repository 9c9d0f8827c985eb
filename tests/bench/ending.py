"""A benchmark that somebody ends: with Ctrl+C, with SIGTERM, or because the terminal has gone, always the same way."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def orderly() -> None:
    """From now on the first of ``SIGNALS`` raises ``KeyboardInterrupt``, and later ones do nothing.

    So whatever was started is stopped by the block that started it, and stopping it is not cut off. A shell has what it
    starts in the background ignore SIGINT; this does not. Main thread only.
    """
    for number in SIGNALS:
        signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form of a handler
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt
