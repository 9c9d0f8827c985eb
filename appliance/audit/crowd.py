"""Whether a commit waits for more: only where many callers come back as soon as they are answered.

Sixty-four callers who share a connection arrive in two halves: while one half's batch is made durable, the other waits,
is committed alone, and so on for ever. Each commit costs two signatures and one write to the disk, however many it
holds. So after a commit, when a crowd waits already, those who were just answered get a part of the time that the
commit took to hand in again. A caller who finds the writer idle never waits, nor do a few.
"""

from __future__ import annotations

import asyncio

_MANY = 16
"""Entries that wait: fewer are no crowd, and want their answer more than company."""
_SHARE = 0.25
_MOST_SECONDS = 0.01


class Crowd:
    """Counts who waits for the next commit of one event loop."""

    def __init__(self) -> None:
        self._waiting = 0
        self._expected = 0
        self._seconds = 0.0
        self._enough: asyncio.Event | None = None

    def arrive(self, entries: int) -> None:
        """So many more wait."""
        self._waiting += entries
        if self._enough and self._waiting >= self._expected:
            self._enough.set()

    def answered(self, entries: int, seconds: float) -> None:
        """A commit of ``entries`` took so long; its callers know now."""
        self._expected = self._waiting + entries
        self._seconds = min(_MOST_SECONDS, _SHARE * seconds)

    async def gather(self) -> None:
        """Return when the next commit is to begin: at once, or when those just answered are back, or have had time."""
        if _MANY <= self._waiting < self._expected:
            self._enough = asyncio.Event()
            try:
                async with asyncio.timeout(self._seconds):
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
        """Nobody waits any more, and nobody is expected back."""
        self._waiting = self._expected = 0
