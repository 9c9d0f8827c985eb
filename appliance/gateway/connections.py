"""HTTP connections that waste our time are closed: uvicorn's h11 protocol with clocks on what it waits for.

uvicorn bounds idle time between requests only; a client that dribbles header bytes would hold its connection for
ever. Here the head of each request must be complete within ``HEAD_SECONDS`` of the connection or of its first byte, and
so must the rest of a body that was answered without being read. Who lets our output pile up for ``WRITE_SECONDS`` is
cut off. Bodies that are read have their own clock (``body``), and so have streams (``sse``).

What we write leaves at once. asyncio sees to that only for sockets that name their protocol, which those of
``socket.create_server`` do not; and a token that waits for the last one's acknowledgement waits 40 ms (RFC 1122,
section 4.2.3.2).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_SECONDS = 10.0
WRITE_SECONDS = 60.0
_INTERNET = frozenset({socket.AF_INET, socket.AF_INET6})
_HEAD_OPEN = frozenset({h11.IDLE})


class BoundedHeadProtocol(H11Protocol):
    """One connection. The head's timer runs while no complete request head, or only part of a spent body, was read."""

    head_seconds = HEAD_SECONDS
    write_seconds = WRITE_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it too
        """Start the clock."""
        super().connection_made(transport)
        line = transport.get_extra_info("socket")
        if line is not None and line.family in _INTERNET:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head_timer = self.loop.call_later(self.head_seconds, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Stop the clock when a head is complete; start it when bytes of the next one arrive."""
        super().data_received(data)
        waiting = (self.conn.their_state in _HEAD_OPEN or self._body_spent) and not self.transport.is_closing()
        if waiting:
            self._start_timer()
        else:
            self._stop_timer()

    def on_response_complete(self) -> None:
        """Start the clock when the request's body is still on its way: nobody will read it any more."""
        super().on_response_complete()
        if self._body_spent and not self.transport.is_closing():
            self._start_timer()

    def pause_writing(self) -> None:
        """Start the reader's clock: what we sent piles up."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the reader's clock: most of it was taken."""
        self._stop_write_timer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks with the connection."""
        self._stop_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    @property
    def _body_spent(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE

    def _give_up(self) -> None:
        self._head_timer = None
        self.transport.close()

    def _start_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
