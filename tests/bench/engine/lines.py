"""A streamed answer over a Unix socket, line by line, at little cost: generator and loaded share the cores.

A connection for each request, so that both contenders are treated alike and closing it means that the client has gone.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import h11

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

_READ_BYTES = 65_536
_OK = 200


class RefusedError(Exception):
    """The server answered with another status than 200."""


@asynccontextmanager
async def posted(socket: Path, path: str, body: bytes) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    """Lines of the answer to ``POST path``, without their ends. Raises ``RefusedError``, ``OSError``."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        connection = h11.Connection(h11.CLIENT)
        headers = [("Host", "engine"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        sent = [h11.Request(method="POST", target=path, headers=headers), h11.Data(body), h11.EndOfMessage()]
        writer.write(b"".join(connection.send(event) or b"" for event in sent))
        yield _lines(connection, reader)
    finally:
        writer.close()


async def _lines(connection: h11.Connection, reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
    rest = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Response):
            if event.status_code != _OK:
                raise RefusedError(f"status {event.status_code}")
        elif isinstance(event, h11.Data):
            *whole, rest = (rest + bytes(event.data)).split(b"\n")
            for line in whole:
                yield line
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return


def encoded(body: dict[str, Any]) -> bytes:
    """``body`` as JSON."""
    return json.dumps(body).encode()
