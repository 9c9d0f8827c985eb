"""The bounded queue between the HTTP side and the owner thread, in fair order.

One lock guards everything here. The HTTP side puts and withdraws; the owner thread alone takes, and says when it has
finished what it took, so that positions count running requests too.

Order: interactive before batch; then whoever has least at work for the weight of their group; then whoever came first.
A user's own requests keep their order. A preempted request goes before all others of its user.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING

from appliance.engine.errors import EngineBusyError, EngineDrainingError
from appliance.engine.protocol import QueueStatus

if TYPE_CHECKING:
    from appliance.engine.job import Job

_FIRST_GUESS_S = 2.0
_RETRY_MAX_S = 120
_MEMORY = 0.8  # weight of the past in the moving average of service times
_KEPT_FREE = 4  # one place in four is kept for users of whom nothing waits


class AdmissionQueue:
    """Holds at most ``limit`` jobs beside the ``slots`` that run, whether or not the owner has taken those yet."""

    def __init__(self, limit: int, slots: int) -> None:
        self._limit, self._slots = limit, slots
        self._lock = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: Counter[str] = Counter()
        self._open = True
        self._service_s = _FIRST_GUESS_S

    def put(self, job: Job) -> int:
        """Append ``job``; the value is how many must end before it begins.

        Raises ``EngineBusyError``, ``EngineDrainingError``.
        """
        with self._lock:
            if not self._open:
                raise EngineDrainingError("the engine is about to stop", "ask again in a minute")
            waiting = self._running.total() + len(self._waiting) - self._slots
            own = sum(other.user == job.user for other in self._waiting)
            share = self._limit - (self._limit // _KEPT_FREE if own else 0)
            if waiting >= share:
                raise EngineBusyError(self._retry_after(), max(1, waiting + 1))
            self._waiting.append(job)
            self._lock.notify_all()
            return max(0, self._ahead(job) + self._running.total() - self._slots + 1)

    def requeue(self, job: Job) -> None:
        """A job that was taken runs no more, and waits before all that its user has waiting. Owner thread only."""
        with self._lock:
            self._left(job)
            self._waiting.appendleft(job)

    def withdraw(self, job: Job) -> bool:
        """Remove a job that still waits; false when it was taken already.

        One that was put off holds things that only the owner thread may free: it stays, for the owner to end.
        """
        with self._lock:
            if job not in self._waiting or job.answering is not None:
                return False
            self._waiting.remove(job)
            self._lock.notify_all()
            return True

    def only_one(self, job: Job) -> bool:
        """Whether nothing else of its user waits or runs."""
        with self._lock:
            return not self._running[job.user] and all(o is job or o.user != job.user for o in self._waiting)

    def next(self) -> Job | None:
        """The job whose turn it is; it stays where it is."""
        with self._lock:
            return min(self._waiting, key=self._turns().__getitem__, default=None)

    def take(self, job: Job) -> bool:
        """``job`` begins to run; false when it was withdrawn. Owner thread only."""
        with self._lock:
            if job not in self._waiting:
                return False
            self._waiting.remove(job)
            self._running[job.user] += 1
            return True

    def finished(self, job: Job, seconds: float | None) -> None:
        """A job that was taken is done, after ``seconds`` of work if any. Owner thread only."""
        with self._lock:
            self._left(job)
            if seconds is not None:
                self._service_s = _MEMORY * self._service_s + (1 - _MEMORY) * seconds
            self._lock.notify_all()

    def wait(self) -> bool:
        """Return when there is a job; false once the queue is closed and empty. Blocks. Owner thread only."""
        with self._lock:
            while not self._waiting:
                if not self._open:
                    return False
                self._lock.wait()
            return True

    def close(self) -> None:
        """Take nothing new. What waits is still handed out."""
        with self._lock:
            self._open = False
            self._lock.notify_all()

    def waiting(self) -> tuple[Job, ...]:
        """The jobs that wait, in order of arrival."""
        with self._lock:
            return tuple(self._waiting)

    def status(self) -> QueueStatus:
        """Counts at this moment."""
        with self._lock:
            return QueueStatus(self._running.total(), len(self._waiting), self._limit, accepting=self._open)

    def _left(self, job: Job) -> None:
        self._running[job.user] -= 1
        if not self._running[job.user]:
            del self._running[job.user]

    def _turns(self) -> dict[Job, tuple[int, float, int]]:
        before = Counter(self._running)
        turns = {}
        for arrival, job in enumerate(self._waiting):
            turns[job] = (job.rank, before[job.user] / job.weight, arrival)
            before[job.user] += 1
        return turns

    def _ahead(self, job: Job) -> int:
        turns = self._turns()
        return sum(turn < turns[job] for turn in turns.values())

    def _retry_after(self) -> int:
        """Seconds until one place is free: half of what a request takes on average, by slots, at least 1."""
        return min(_RETRY_MAX_S, max(1, math.ceil(self._service_s / 2 / self._slots)))
