"""A command that is told to end undoes, or leaves in order, what it has begun."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDING = (signal.SIGHUP, signal.SIGTERM)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Within, a lost terminal (SIGHUP) and SIGTERM do what Ctrl-C does: ``KeyboardInterrupt`` in the main thread.

    By default they end a process at once, and nothing after the present line is done. What somebody ignores (nohup(1))
    stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
