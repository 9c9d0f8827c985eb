"""Who computes and who waits, for a server that would queue without bound. One event loop; no locks.

A place is asked for, which may be refused; taken, which may have to wait; and left, whatever happened in between. Those
who wait are served in order of arrival. Time that several spend computing together is shared out equally between them,
so that the energy of all requests adds up to that of the machine.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import TYPE_CHECKING

from appliance.engine.errors import EngineBusyError, EngineDrainingError
from appliance.engine.protocol import QueueStatus

if TYPE_CHECKING:
    from collections.abc import Callable

_RETRY_MAX_S = 120
_FIRST_GUESS_S = 2.0
_MEMORY = 0.8  # weight of the past in the moving average of service times


class Places:
    """``slots`` compute at once and ``limit`` more may wait."""

    def __init__(self, slots: int, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = slots
        self._limit = limit
        self._clock = clock
        self._waiting: deque[Place] = deque()
        self._running: set[Place] = set()
        self._open = True
        self._service_s = _FIRST_GUESS_S
        self._share_s = 0.0
        self._counted_at = clock()

    def ask(self) -> Place:
        """A place at the end of the queue. Raises ``EngineBusyError``, ``EngineDrainingError``."""
        if not self._open:
            raise EngineDrainingError("the engine is about to stop", "ask again in a minute")
        if len(self._running) + len(self._waiting) >= self._slots + self._limit:
            seconds = math.ceil(self._service_s / 2 / self._slots)
            raise EngineBusyError(min(_RETRY_MAX_S, max(1, seconds)))
        place = Place(self, max(0, len(self._running) + len(self._waiting) - self._slots + 1))
        self._waiting.append(place)
        self._advance()
        return place

    def close(self) -> None:
        """Give out no further place; those that were asked for stay good."""
        self._open = False

    def status(self) -> QueueStatus:
        """Counts at this moment."""
        return QueueStatus(len(self._running), len(self._waiting), self._limit, self._open)

    def _advance(self) -> None:
        while self._waiting and len(self._running) < self._slots:
            place = self._waiting.popleft()
            self.share()
            self._running.add(place)
            place.begin(self._clock(), self._share_s)

    def share(self) -> float:
        """Seconds so far, each divided by how many computed in it."""
        now = self._clock()
        if self._running:
            self._share_s += (now - self._counted_at) / len(self._running)
        self._counted_at = now
        return self._share_s

    def leave(self, place: Place) -> None:
        """Give ``place`` up, taken or not. Twice is once."""
        if place in self._running:
            self.share()
            self._running.remove(place)
            self._service_s = _MEMORY * self._service_s + (1 - _MEMORY) * (self._clock() - place.since)
        elif place in self._waiting:
            self._waiting.remove(place)
        self._advance()


class Place:
    """One request's place; ``position`` is how many had to end before it could begin when it came."""

    def __init__(self, places: Places, position: int) -> None:
        self.position = position
        self.since = 0.0
        self._places = places
        self._share_before = 0.0
        self._begun = asyncio.Event()

    def begin(self, now: float, share: float) -> None:
        """It is this request's turn (called by ``Places``)."""
        self.since, self._share_before = now, share
        self._begun.set()

    async def taken(self) -> None:
        """Wait for this request's turn."""
        await self._begun.wait()

    def share(self) -> float:
        """Seconds of computing that fall to this request so far; 0 before its turn."""
        return self._places.share() - self._share_before if self._begun.is_set() else 0.0

    def leave(self) -> None:
        """See ``Places.leave``."""
        self._places.leave(self)
