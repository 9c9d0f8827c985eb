"""Server-sent events: encoding, and a response that notices when its reader is gone or asleep."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.types import Receive, Scope, Send

SEND_SECONDS = 60.0
KEEPALIVE = b": alive\n\n"


def event(name: str, data: object) -> bytes:
    """One named event with a JSON value."""
    return b"event: " + name.encode() + b"\n" + data_only(data)


def data_only(data: object) -> bytes:
    """One unnamed event with a JSON value, as OpenAI streams them."""
    return b"data: " + compact(data).encode() + b"\n\n"


def compact(data: object) -> str:
    """JSON on one line."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


DONE = b"data: [DONE]\n\n"


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has gone. Call only after the body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass


@contextlib.asynccontextmanager
async def on_disconnect(receive: Receive, stop: Callable[[], None]) -> AsyncGenerator[None, None]:
    """Call ``stop`` if the client goes away inside the block."""

    async def watch() -> None:
        await wait_for_disconnect(receive)
        stop()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


class EventStream(Response):
    """Streams ``chunks``; calls ``stop`` when the client disconnects, or reads nothing for ``SEND_SECONDS``.

    ``chunks`` is expected to end by itself soon after ``stop``; it is always run to its end, so that what follows a
    stopped answer (its log entry, its partial text) is not lost with the connection.
    """

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[bytes, None], stop: Callable[[], None]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._chunks = chunks
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send until the chunks end; after a stop they are drained, not sent."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        open_ = True
        async with contextlib.aclosing(self._chunks), on_disconnect(receive, self._stop):
            async for chunk in self._chunks:
                if open_:
                    open_ = await self._sent(send, chunk)
        if open_:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _sent(self, send: Send, chunk: bytes) -> bool:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except (TimeoutError, OSError):
            self._stop()
            return False
        return True
