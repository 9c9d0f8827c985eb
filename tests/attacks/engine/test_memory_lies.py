"""An engine that was taken over says of its memory what it likes: the gateway and the operator's command stay up.

Whatever comes, that engine is not known, with a reason in our words; the others are shown; nothing is read without end.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.engine import client as engine_client
from appliance.engine.client import EngineClient
from appliance.engine.errors import EngineAbsentError, EngineUnavailableError
from appliance.engine.tiers import MAX_BYTES, EngineTiers, encode
from appliance.gateway.hierarchy_look import _tiers
from appliance.install import probe
from appliance.install.probe import Probe, fetch_json
from appliance.memory.hierarchy import Silent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]

pytestmark = [pytest.mark.anyio, pytest.mark.network]
FINE = encode(EngineTiers(1.0, 64, (), None))
ROW = {
    "tier": "pinned",
    "scope": "group",
    "group": "g",
    "count": 1,
    "tokens": 1,
    "size": 1,
    "oldest_s": 1,
    "newest_s": 1,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()


def chunked(size: bytes) -> Answering:
    """A chunk that says it is of ``size``, and never ends."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n")
        while True:
            writer.write(b" " * 0x10000)
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


async def dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def gone(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()


def body(**changes: Any) -> bytes:
    return json.dumps(json.loads(FINE) | changes).encode()


BOMB = gzip.compress(b" " * (64 << 20))
LIES: dict[str, Answering] = {
    "huge numbers": saying(body(rows=[ROW | {"tokens": 10**400}])),
    "more than it has cells": saying(body(rows=[ROW | {"tokens": 65}])),
    "NaN": saying(FINE.replace(b"1.0", b"NaN")),
    "infinity": saying(FINE.replace(b"1.0", b"1e999")),
    "negative": saying(body(rows=[ROW | {"count": -1}])),
    "wrong types": saying(body(rows=[ROW | {"group": {"name": "g"}}])),
    "too many groups": saying(body(rows=[ROW | {"group": f"{n}", "tokens": 0} for n in range(2000)])),
    "an endless name": saying(body(rows=[ROW | {"group": "g" * 100_000}])),
    "a deep bomb": saying(b"[" * 200_000),
    "a long body": saying(b" " * (MAX_BYTES + 1)),
    "a zip bomb": saying(BOMB, "Content-Encoding: gzip\r\n"),
    "bytes that are no text": saying(FINE, "X-\xff: \xff\x00\r\nContent-Encoding: \xff\r\n"),
    "another status": saying(FINE, status="500 Oops"),
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


REASONS = {
    "huge numbers": "it says of its memory is no JSON",
    "more than it has cells": "its cells hold more than they can",
    "negative": "counts what cannot be",
    "too many groups": "more rows than an engine has",
    "an endless name": "a group that is none",
    "a long body": "more of its memory than is read",
    "an endless body": "more of its memory than is read",
    "a zip bomb": "does not tell",
    "nothing at all": "does not say in time",
    "a byte at a time": "does not say in time",
    "half": "breaks off",
    "no HTTP": "speaks no HTTP",
}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_client, "_MEMORY_S", 0.5)


@pytest.mark.parametrize("lie", LIES)
async def test_whatever_an_engine_says_of_its_memory_it_is_unknown_soon_and_the_next_question_is_answered(
    lie: str,
) -> None:
    async with engine(LIES[lie]) as path, EngineClient(path) as client:
        tracemalloc.start()
        began = time.monotonic()
        found = await asyncio.wait_for(_tiers(client), 20)
        seconds, (_, most) = time.monotonic() - began, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert isinstance(found, Silent)
        assert found.state == "not_known"
        assert REASONS.get(lie, "") in (found.reason or "")
        assert 0 < len(found.reason or "") < 100
        assert most < 16 << 20
        assert seconds < 10
    async with engine(saying(FINE)) as path, EngineClient(path) as client:
        assert await _tiers(client) == EngineTiers(1.0, 64, (), None)


async def test_an_engine_that_hangs_does_not_hold_up_the_others() -> None:
    async with (
        engine(silent) as mute,
        engine(saying(FINE)) as fine,
        EngineClient(mute) as one,
        EngineClient(fine) as two,
    ):
        other = asyncio.create_task(_tiers(one))
        assert isinstance(await asyncio.wait_for(_tiers(two), 20), EngineTiers)
        assert not other.done() or isinstance(other.result(), Silent)
        await other


async def test_an_engine_that_is_not_there_is_told_from_one_that_lies(tmp_path: Path) -> None:
    async with EngineClient(tmp_path / "s") as client:
        with pytest.raises(EngineAbsentError):
            await client.tiers()
        assert await _tiers(client) == Silent("not_running")
    async with engine(LIES["negative"]) as path, EngineClient(path) as client:
        with pytest.raises(EngineUnavailableError) as refused:
            await client.tiers()
        assert not isinstance(refused.value, EngineAbsentError)


# Figures that cannot be are JSON all the same: what is made of them is in tests/unit/install/test_memory_status.py.
READ = {"negative", "more than it has cells", "wrong types", "too many groups", "an endless name"}
# It asks neither for the status nor for headers: the body alone counts.
BODY = {"another status", "bytes that are no text"}


@pytest.mark.parametrize("lie", sorted(set(LIES) - READ - BODY))
async def test_the_operators_command_takes_no_more_of_it(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ANSWER_MAX_S", 0.5)
    async with engine(LIES[lie]) as path:
        tracemalloc.start()
        assert await asyncio.to_thread(fetch_json, Probe("unix-http", str(path), "/memory")) is None
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 16 << 20
