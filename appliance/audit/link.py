"""A caller's end of a connection of frames: questions go out as they come, answers find their question by number."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from appliance.audit.errors import BadRequestError
from appliance.audit.frames import PROVEN, FrameReader, frame, preface

if TYPE_CHECKING:
    from pathlib import Path

_NUMBERS = PROVEN


class Link(asyncio.Protocol):
    """One connection; ``closed`` is set once it is over, for good."""

    def __init__(self, instance: str) -> None:
        self.closed = asyncio.Event()
        self._preface = preface(instance)
        self._reader = FrameReader()
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._last = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who calls."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._preface)

    async def ask(self, payload: bytes, seconds: float, *, proven: bool = False) -> bytes:
        """The answer to ``payload``, with proofs where they are asked for.

        Raises ``ConnectionError`` when the connection ends before it came, and ``TimeoutError`` after ``seconds``: then
        it ends the connection, since whoever does not answer one does not answer.
        """
        if self.closed.is_set() or self._transport is None:
            raise ConnectionResetError("the connection is closed")
        self._last = self._last % (_NUMBERS - 1) + 1
        number = self._last | PROVEN if proven else self._last
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[number] = done
        self._transport.write(frame(number, payload))
        try:
            async with asyncio.timeout(seconds):
                return await done
        except TimeoutError:
            self._transport.abort()
            raise
        finally:
            self._asked.pop(number, None)

    def data_received(self, data: bytes) -> None:
        """Answers, in whatever order."""
        try:
            found = self._reader.feed(data)
        except BadRequestError:
            self.close()
            return
        for number, payload in found:
            asked = self._asked.get(number) if number else next(iter(self._asked.values()), None)
            if asked is not None and not asked.done():
                asked.set_result(payload)

    def connection_lost(self, error: Exception | None) -> None:
        """Nothing more will be answered."""
        self.closed.set()
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(ConnectionResetError(f"the connection ended: {error or 'closed'}"))

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()


async def connect(socket: Path, instance: str, seconds: float) -> Link:
    """A connection to the writer at ``socket``. Raises ``OSError``, and ``TimeoutError`` after ``seconds``."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        _, link = await loop.create_unix_connection(lambda: Link(instance), str(socket))
    return link
