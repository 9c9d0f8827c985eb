"""A counter of joules that takes milliseconds to read, told without waiting for it.

Reading a GPU's counter takes about as long as several of its steps, and a step is watched at its beginning, at its end
and at every token that is drawn. So a thread of its own reads the counter ten times a second, about as often as it
moves; in between joules go on at the draw that was read last, and what was told too much or too little by then is made
up in the next readings. A single step's figure is an estimate; the sum is the counter's.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.engine.nvml import Counters

EVERY_S = 0.1
_MADE_UP_S = 3 * EVERY_S
"""Within about so long what was told is what was read."""
_KNOWN_S = 3 * EVERY_S
"""After a reading nothing is told of more than so long."""


class Line:
    """What is told of a counter between its readings. Pure; never falls."""

    def __init__(self, now: float, joules: float) -> None:
        self._at, self._read = now, joules
        self._told, self._until = joules, now
        self._watts = 0.0

    def told(self, now: float) -> float:
        """Joules at ``now``, seconds of the clock that readings are given with."""
        until = min(now, self._at + _KNOWN_S)
        if until > self._until:
            self._told += self._watts * (until - self._until)
            self._until = until
        return self._told

    def read(self, now: float, joules: float) -> None:
        """The counter said ``joules`` at ``now``."""
        behind, seconds = joules - self.told(now), now - self._at
        if seconds > 0:
            self._watts = max(0.0, (joules - self._read) / seconds + behind / _MADE_UP_S)
            self._at, self._read, self._until = now, joules, max(self._until, now)


class Steady:
    """Implements ``Counters`` on ``counters``, which its thread alone asks from the first reading on."""

    def __init__(self, counters: Counters, clock: Callable[[], float] = time.monotonic) -> None:
        self._counters = counters
        self._clock = clock
        self._lock = threading.Lock()
        self._line: Line | None = None
        self.look()

    def start(self) -> Steady:
        """Begin to read; for as long as the process lives."""
        threading.Thread(target=self._go_on, name="energy", daemon=True).start()
        return self

    def joules(self) -> float | None:
        """See ``Counters``; None while the counter cannot be read."""
        with self._lock:
            return None if self._line is None else self._line.told(self._clock())

    def look(self) -> None:
        """Read the counter once."""
        found, now = self._counters.joules(), self._clock()
        with self._lock:
            if found is None or self._line is None:
                self._line = None if found is None else Line(now, found)
            else:
                self._line.read(now, found)

    def _go_on(self) -> None:
        while True:
            time.sleep(EVERY_S)
            self.look()
