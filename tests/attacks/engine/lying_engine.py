"""A process on an engine's socket that answers as it likes, and ways of answering that no engine has."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]

BOMB = gzip.compress(b" " * (64 << 20))


@contextlib.asynccontextmanager
async def engine(answering: Answering) -> AsyncIterator[Path]:
    """A process on a socket that reads a request and then does as it likes."""

    open_now: set[asyncio.Task[Any]] = set()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await reader.readuntil(b"\r\n\r\n")
                await answering(writer)
        finally:
            if not writer.transport.is_closing():
                writer.transport.abort()
            open_now.discard(task)

    with tempfile.TemporaryDirectory(prefix="lies-") as folder:
        path = Path(folder) / "s"
        async with await asyncio.start_unix_server(met, str(path)):
            yield path
            left = tuple(open_now)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)


def saying(body: bytes, head: str = "", status: str = "200 OK") -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body)
        writer.close()
        await writer.wait_closed()

    return answer


async def endless(writer: asyncio.StreamWriter, status: str = "200 OK") -> None:
    writer.write(f"HTTP/1.1 {status}\r\n".encode() + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()


def chunked(size: bytes, status: str = "200 OK") -> Answering:
    """A chunk that says it is of ``size``, and never ends."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\n".encode() + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\n")
        while True:
            writer.write(b" " * 0x10000)
            await writer.drain()

    return answer


def repeating(line: bytes) -> Answering:
    """``line`` again and again, and no end."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        many = line * max(1, 0x10000 // len(line))
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(f"{len(many):x}\r\n".encode() + many + b"\r\n")
            await writer.drain()

    return answer


async def endless_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


async def silent(writer: asyncio.StreamWriter) -> None:
    del writer
    await asyncio.sleep(3600)


async def dripping(writer: asyncio.StreamWriter, status: str = "200 OK") -> None:
    writer.write(f"HTTP/1.1 {status}\r\n".encode() + b"Content-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def gone(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()


def breaking(limit: int) -> dict[str, Answering]:
    """Answers to any question that are none, or have no end; ``limit`` is the most bytes that may be read of one."""
    return {
        "a deep bomb": saying(b"[" * 200_000),
        "a long body": saying(b" " * (limit + 1)),
        "a zip bomb": saying(BOMB, "Content-Encoding: gzip\r\n"),
        "another status": saying(b"{}", status="500 Oops"),
        "elsewhere": saying(b"", "Location: http://127.0.0.1:9/\r\n", status="302 Found"),
        "no HTTP": saying(b"", status="two hundred"),
        "an endless body": endless,
        "an endless head": endless_head,
        "a chunk of less than nothing": chunked(b"-5"),
        "a chunk that has no end": chunked(b"-1"),
        "a chunk of no size": chunked(b"\xff"),
        "nothing at all": silent,
        "a byte at a time": dripping,
        "half": gone,
    }
