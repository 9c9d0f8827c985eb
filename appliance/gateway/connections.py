"""HTTP connections that waste our time are closed: uvicorn's h11 protocol with a clock on the request head.

uvicorn bounds idle time between requests only; a client that dribbles header bytes would hold its connection for
ever. Here the head of each request must be complete within ``HEAD_SECONDS`` of the connection or of its first byte.
Bodies have their own clock (``body``), and so have slow readers of streams (``streams``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_SECONDS = 10.0
_HEAD_OPEN = frozenset({h11.IDLE})


class BoundedHeadProtocol(H11Protocol):
    """One connection. The timer runs while no complete request head has been read."""

    head_seconds = HEAD_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it too
        """Start the clock."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_seconds, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Stop the clock when a head is complete; start it when bytes of the next one arrive."""
        super().data_received(data)
        waiting = self.conn.their_state in _HEAD_OPEN and not self.transport.is_closing()
        if waiting and self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._give_up)
        elif not waiting:
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock with the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        self._head_timer = None
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
