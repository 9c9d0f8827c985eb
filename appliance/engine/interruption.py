"""Whether the batch under way is given up for somebody who came new. Pure, but for the clock it is given.

A batch of long streams or of a chunk of long prompts takes a few tenths of a second, and would be most of what a short
question waits for. What is given up is computed again: so it is done only in the first half of what such batches take,
where the newcomer gains more than is lost, and what is lost is at most ``SHARE`` of the time that was computed.

The owner thread looks, begins and ends; ``came`` may be called from any thread, when the newcomer is in the queue.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.engine.errors import GivenUpError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHARE = 1 / 20
MOST_S = 1.0
"""Seconds of lost computing that may be saved up: a few batches."""
_HALF = 0.5
_MEMORY = 0.8  # weight of the past in the moving average of what such batches take


class Interruption:
    """Of one context, whose ``give_up(wanted=…)`` it calls."""

    def __init__(self, give_up: Callable[..., None], clock: Callable[[], float] = time.monotonic) -> None:
        self._give_up = give_up
        self._clock = clock
        self._lock = threading.Lock()
        self._came: set[str] = set()
        self._yielding: str | None = None
        self._put_off = False
        self._began = 0.0
        self._usual = 0.0
        self._allowed_s = 0.0

    def look(self) -> None:
        """Whoever is in the queue by now will be seen."""
        with self._lock:
            self._came.clear()

    def came(self, adapter: str) -> None:
        """Somebody came new, who is computed with ``adapter``."""
        with self._lock:
            self._came.add(adapter)
            if self._yielding == adapter:
                lost = self._clock() - self._began
                if lost <= min(self._allowed_s, _HALF * self._usual):
                    self._give_up(wanted=True)

    @contextmanager
    def batch(self, adapter: str, *, gives_way: bool) -> Iterator[None]:
        """A batch that is computed with ``adapter``, from its beginning to its end or failure.

        Raises ``GivenUpError`` where it would give way and somebody came since ``look``: nothing is lost yet. That
        happens once in a row, so that batches are computed however fast people come.
        """
        with self._lock:
            self._put_off = gives_way and adapter in self._came and not self._put_off
            if self._put_off:
                raise GivenUpError("somebody came before it began")
            self._began = self._clock()
            self._yielding = adapter if gives_way else None
        whole = False
        try:
            yield
            whole = True
        except GivenUpError:
            with self._lock:
                self._allowed_s -= self._clock() - self._began
            raise
        finally:
            with self._lock:
                self._end(whole=whole)

    def _end(self, *, whole: bool) -> None:
        seconds = self._clock() - self._began
        if whole:
            self._allowed_s = min(MOST_S, self._allowed_s + SHARE * seconds)
            if self._yielding is not None:
                self._usual = _MEMORY * self._usual + (1 - _MEMORY) * seconds if self._usual else seconds
        self._yielding = None
        self._give_up(wanted=False)
