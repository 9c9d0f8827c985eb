"""A server on a Unix socket that answers every request with the same bytes, in the pieces that a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Scripted:
    """Answers each request with ``parts``, each a chunk of its own, and keeps what it was sent."""

    def __init__(self, parts: list[bytes], status: str = "200 OK") -> None:
        self._parts = parts
        self._status = status
        self.sent = b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        self.sent = await reader.readexactly(length)
        writer.write(f"HTTP/1.1 {self._status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for part in self._parts:
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        writer.close()


@contextlib.asynccontextmanager
async def listening(server: Scripted) -> AsyncIterator[Path]:
    with TemporaryDirectory(prefix="b-") as folder:
        path = Path(folder) / "s"
        async with await asyncio.start_unix_server(server, str(path)):
            yield path
