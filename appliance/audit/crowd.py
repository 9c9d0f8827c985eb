"""Whether a commit waits for more: only where many callers come back as soon as they are answered.

Sixty-four callers who share a connection arrive in two halves: while one half's batch is made durable, the other waits,
is committed alone, and so on for ever. Each commit costs two signatures and one write to the disk, however many it
holds. So after a commit, when a crowd waits already, those who were just answered get a part of the time that the
commit took to hand in again. A caller who finds the writer idle never waits, nor do a few.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MANY = 16
"""Entries that wait: fewer are no crowd, and want their answer more than company."""
_SHARE = 0.25
_MOST_SECONDS = 0.01


class Crowd:
    """Counts who waits for the next commit of one event loop. ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting = 0
        self._expected = 0
        self._until = 0.0
        """Until when they are expected: also where a writer was idle in between, and no longer."""
        self._enough: asyncio.Event | None = None

    def arrive(self, entries: int) -> None:
        """So many more wait."""
        self._waiting += entries
        if self._enough and self._waiting >= self._expected:
            self._enough.set()

    def answered(self, entries: int, seconds: float) -> None:
        """A commit of ``entries`` took so long; its callers know now."""
        self._expected = self._waiting + entries
        self._until = self._clock() + min(_MOST_SECONDS, _SHARE * seconds)

    async def gather(self) -> None:
        """Return when the next commit is to begin: at once, or when those just answered are back, or have had time."""
        left = self._until - self._clock()
        if left > 0 and _MANY <= self._waiting < self._expected:
            self._enough = asyncio.Event()
            try:
                async with asyncio.timeout(left):
                    await self._enough.wait()
            except TimeoutError:
                pass
            finally:
                self._enough = None
        self._expected = 0

    def taken(self, entries: int) -> None:
        """So many of those who waited are part of a commit now."""
        self._waiting -= entries

    def clear(self) -> None:
        """Nobody waits any more."""
        self._waiting = 0
