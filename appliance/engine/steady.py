"""A counter of joules that takes milliseconds to read, told without waiting for it.

Reading a GPU's counter takes about as long as several of its steps, and a step is watched at its beginning, at its end
and at every token that is drawn. So a thread of its own reads the counter ten times a second, about as often as it
moves; in between joules go on at the draw that was read last, and of what was told too much or too little by then a
third is made up with each reading. What is told comes to what was counted; a piece of work that is over before a few
readings (``SETTLES_S``) may be told next to nothing of its own, and is for who declares to estimate.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.engine.nvml import Counters

EVERY_S = 0.1
SETTLES_S = 5 * EVERY_S
"""Work of so long or longer is charged what was counted; of shorter work only the sum would be right."""
_MADE_UP = 1 / 3
_KNOWN_S = 3 * EVERY_S
"""After a reading nothing is told of more than so long."""
GAP_S = 1.0
"""Without a reading for so long nothing is told at all, and nothing of that time is made up afterwards."""


class Line:
    """What is told of a counter between its readings. Pure; never falls, whatever the counter does."""

    def __init__(self, now: float, joules: float) -> None:
        self._at, self._read = now, joules
        self._told, self._until, self._watts = 0.0, now, 0.0
        self._begun = joules  # where the counter stood when what is told was nothing

    def told(self, now: float) -> float | None:
        """Joules since some moment before, at ``now`` on the clock of the readings; None long after the last one."""
        if now - self._at > GAP_S:
            return None
        until = min(now, self._at + _KNOWN_S)
        if until > self._until:
            self._told += self._watts * (until - self._until)
            self._until = until
        return self._told

    def read(self, now: float, joules: float) -> None:
        """The counter said ``joules`` at ``now``. One that fell, or was not read for long, is counted anew."""
        seconds = now - self._at
        if seconds <= 0:
            return
        if joules < self._read or seconds > GAP_S:
            self._begun, self._watts = joules - self._told, 0.0
        else:
            self.told(now)
            behind = joules - self._begun - self._told
            self._watts = max(0.0, (joules - self._read) / seconds + _MADE_UP * behind / EVERY_S)
        self._at, self._read, self._until = now, joules, max(self._until, now)


class Steady:
    """Implements ``Counters`` on ``counters``, which its thread alone asks once it is started."""

    def __init__(self, counters: Counters, clock: Callable[[], float] = time.monotonic) -> None:
        self._counters = counters
        self._clock = clock
        self._lock = threading.Lock()
        self._line: Line | None = None
        self._fails = False
        self.look()

    def start(self) -> Steady:
        """Begin to read; for as long as the process lives."""
        threading.Thread(target=self._go_on, name="energy", daemon=True).start()
        return self

    def joules(self) -> float | None:
        """See ``Counters``; None while the counter cannot be read, or does not come back from being read."""
        with self._lock:
            return None if self._fails or self._line is None else self._line.told(self._clock())

    def look(self) -> None:
        """Read the counter once."""
        found, now = self._counters.joules(), self._clock()
        with self._lock:
            self._fails = found is None
            if found is None:
                return
            if self._line is None:
                self._line = Line(now, found)
            else:
                self._line.read(now, found)

    def _go_on(self) -> None:
        while True:
            time.sleep(EVERY_S)
            self.look()  # should it fail, there is no figure after ``GAP_S``
