"""The bounded first-in-first-out queue between the HTTP side and the owner thread.

One lock guards everything here. The HTTP side puts and withdraws; the owner thread alone takes, and says when it has
finished what it took, so that positions count the running request too.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Generic, TypeVar

from appliance.engine.errors import EngineBusyError, EngineDrainingError
from appliance.engine.protocol import QueueStatus

T = TypeVar("T")
_FIRST_GUESS_S = 2.0
_RETRY_MAX_S = 120
_MEMORY = 0.8  # weight of the past in the moving average of service times


class AdmissionQueue(Generic[T]):
    """Holds at most ``limit`` jobs beside the one that runs, whether or not the owner has come to take that one yet."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Condition()
        self._waiting: deque[T] = deque()
        self._running = 0
        self._open = True
        self._service_s = _FIRST_GUESS_S

    def put(self, job: T) -> int:
        """Append ``job``; the value is how many are before it. Raises ``EngineBusyError``, ``EngineDrainingError``."""
        with self._lock:
            if not self._open:
                raise EngineDrainingError("the engine is about to stop", "ask again in a minute")
            if self._running + len(self._waiting) > self._limit:
                raise EngineBusyError(self._retry_after())
            self._waiting.append(job)
            self._lock.notify_all()
            return self._running + len(self._waiting) - 1

    def _retry_after(self) -> int:
        """Seconds until one place is free: half of what the running request takes on average, at least 1."""
        return min(_RETRY_MAX_S, max(1, math.ceil(self._service_s / 2)))

    def withdraw(self, job: T) -> bool:
        """Remove a job that still waits; false when it was taken already."""
        with self._lock:
            try:
                self._waiting.remove(job)
            except ValueError:
                return False
            self._lock.notify_all()
            return True

    def take(self) -> T | None:
        """The next job, or ``None`` once the queue is closed and empty. Blocks. Owner thread only."""
        with self._lock:
            while not self._waiting:
                if not self._open:
                    return None
                self._lock.wait()
            self._running += 1
            return self._waiting.popleft()

    def finished(self, seconds: float) -> None:
        """The job taken last is done after ``seconds``. Owner thread only."""
        with self._lock:
            self._running -= 1
            self._service_s = _MEMORY * self._service_s + (1 - _MEMORY) * seconds
            self._lock.notify_all()

    def close(self) -> None:
        """Take nothing new. What waits is still handed out."""
        with self._lock:
            self._open = False
            self._lock.notify_all()

    def waiting(self) -> tuple[T, ...]:
        """The jobs that wait, in order."""
        with self._lock:
            return tuple(self._waiting)

    def status(self) -> QueueStatus:
        """Counts at this moment."""
        with self._lock:
            return QueueStatus(
                running=self._running, waiting=len(self._waiting), limit=self._limit, accepting=self._open
            )
