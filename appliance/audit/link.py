"""A caller's end of a connection of frames: questions go out as they come, answers find their question by number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance.audit.errors import BadRequestError
from appliance.audit.frames import PROVEN, FrameReader, frame, preface

if TYPE_CHECKING:
    from pathlib import Path

_NUMBERS = PROVEN


Heard = Callable[[bytes | OSError], None]
"""Called once, with the answer, or with ``ConnectionError`` or ``TimeoutError`` where none will come."""


class Link(asyncio.Protocol):
    """One connection; ``closed`` is set once it is over, for good."""

    def __init__(self, instance: str) -> None:
        self.closed = asyncio.Event()
        self._preface = preface(instance)
        self._reader = FrameReader()
        self._asked: dict[int, tuple[Heard, asyncio.TimerHandle]] = {}
        self._last = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who calls."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._preface)

    def put(self, payload: bytes, seconds: float, heard: Heard, *, proven: bool = False) -> None:
        """Ask ``payload``, with proofs where they are asked for; ``heard`` is called where the answer is read.

        Who does not answer one in ``seconds`` does not answer: the connection ends. Raises ``ConnectionError`` where it
        has ended already.
        """
        if self.closed.is_set() or self._transport is None:
            raise ConnectionResetError("the connection is closed")
        self._last = self._last % (_NUMBERS - 1) + 1
        number = self._last | PROVEN if proven else self._last
        late = asyncio.get_running_loop().call_later(seconds, self._give_up, number)
        self._asked[number] = (heard, late)
        self._transport.write(frame(number, payload))

    async def ask(self, payload: bytes, seconds: float, *, proven: bool = False) -> bytes:
        """As ``put``, for who waits. Raises ``ConnectionError``, ``TimeoutError``."""
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def heard(answer: bytes | OSError) -> None:
            if done.done():
                return
            if isinstance(answer, bytes):
                done.set_result(answer)
            else:
                done.set_exception(answer)

        self.put(payload, seconds, heard, proven=proven)
        return await done

    def data_received(self, data: bytes) -> None:
        """Answers, in whatever order."""
        try:
            found = self._reader.feed(data)
        except BadRequestError:
            self.close()
            return
        for number, payload in found:
            self._tell(number or next(iter(self._asked), 0), payload)

    def connection_lost(self, error: Exception | None) -> None:
        """Nothing more will be answered."""
        self.closed.set()
        for number in list(self._asked):
            self._tell(number, ConnectionResetError(f"the connection ended: {error or 'closed'}"))

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def _tell(self, number: int, answer: bytes | OSError) -> None:
        asked = self._asked.pop(number, None)
        if asked is not None:
            heard, late = asked
            late.cancel()
            heard(answer)

    def _give_up(self, number: int) -> None:
        assert self._transport is not None
        self._transport.abort()  # which is told a moment later: this one's answer is another
        self._tell(number, TimeoutError("no answer came"))


async def connect(socket: Path, instance: str, seconds: float) -> Link:
    """A connection to the writer at ``socket``. Raises ``OSError``, and ``TimeoutError`` after ``seconds``."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        _, link = await loop.create_unix_connection(lambda: Link(instance), str(socket))
    return link
