"""Events on their way from the owner thread to event loops: one wake-up a step, however many streams there are."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from appliance.engine.protocol import Event


class Outbox:
    """Collects events and hands them over together. Owner thread only."""

    def __init__(self) -> None:
        self._letters: defaultdict[asyncio.AbstractEventLoop, list[tuple[asyncio.Queue[Event], Event]]] = defaultdict(
            list
        )

    def put(self, loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[Event], event: Event) -> None:
        """``event`` for ``queue``, which belongs to ``loop``."""
        self._letters[loop].append((queue, event))

    def flush(self) -> None:
        """Give every loop its events; a loop that has closed has no reader left."""
        for loop, letters in self._letters.items():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_deliver, letters)
        self._letters.clear()


def _deliver(letters: list[tuple[asyncio.Queue[Event], Event]]) -> None:
    for queue, event in letters:
        queue.put_nowait(event)
