from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway import sse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio


def test_an_event_is_one_line_of_json_whatever_it_holds() -> None:
    raw = sse.event("token", {"text": "a\n\ndata: x\r\u2028ü"}).decode()
    assert raw == 'event: token\ndata: {"text":"a\\n\\ndata: x\\r\u2028ü"}\n\n'


async def numbers(stopped: asyncio.Event) -> AsyncGenerator[bytes, None]:
    yield b"first"
    await stopped.wait()
    yield b"last"


async def test_a_reader_that_goes_away_stops_the_source_which_is_still_run_to_its_end() -> None:
    stopped, sent = asyncio.Event(), []
    ended = False

    async def source() -> AsyncGenerator[bytes, None]:
        nonlocal ended
        async for chunk in numbers(stopped):
            yield chunk
        ended = True

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await sse.EventStream(source(), stopped.set)({}, receive, send)  # type: ignore[arg-type]  # a bare scope will do
    assert stopped.is_set()
    assert ended


async def test_a_reader_that_does_not_read_stops_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "SEND_SECONDS", 0.01)
    stopped = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    await sse.EventStream(numbers(stopped), stopped.set)({}, receive, send)  # type: ignore[arg-type]  # a bare scope will do
    assert stopped.is_set()
