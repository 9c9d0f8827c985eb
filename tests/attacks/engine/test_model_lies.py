"""An engine that was taken over is asked what it serves, or for an answer: nothing of it is read without end."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from appliance.engine import client as engine_client
from appliance.engine.client import EngineClient
from appliance.engine.errors import EngineUnavailableError
from appliance.engine.protocol import Admitted, End, Energy, Request, Timing, Token, Usage
from appliance.engine.tiers import MAX_BYTES
from appliance.engine.wire_events import encode_event
from tests.attacks.engine.lying_engine import breaking, chunked, dripping, endless, engine, repeating, saying

if TYPE_CHECKING:
    from tests.attacks.engine.lying_engine import Answering

pytestmark = [pytest.mark.anyio, pytest.mark.network]
ASK = Request(id="1", user="u", group="g", prompt="hi")
FINE: dict[str, Any] = {"record": {"name": "m"}, "receipt": {}, "context_tokens": 4096, "queue": {"waiting": 0}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_client, "_CONNECT_S", 0.5)


def told(**changes: Any) -> Answering:
    return saying(json.dumps(FINE | changes).encode())


LIES: dict[str, Answering] = {
    **breaking(MAX_BYTES),
    "no record": told(record=[]),
    "no queue": told(queue="long"),
    "a context of text": told(context_tokens="4096"),
    "a context that none has": told(context_tokens=10**12),
    "a number that is none": told(context_tokens=10**400),
    "dimensions that none has": told(dimensions=-1),
    "dimensions that are no number": told(dimensions=True),
    "NaN": saying(b'{"record": {}, "receipt": {}, "context_tokens": NaN, "queue": {}}'),
}


async def bounded(ask: Any, most: int = 16 << 20) -> Any:
    """What ``ask`` comes to; soon, and without much memory."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        return await asyncio.wait_for(ask, 20)
    finally:
        seconds, (_, held) = time.monotonic() - began, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < most
        assert seconds < 10


@pytest.mark.parametrize("lie", LIES)
async def test_whatever_an_engine_says_of_its_model_it_is_not_available_soon_and_the_next_answer_is_read(
    lie: str,
) -> None:
    async with engine(LIES[lie]) as path, EngineClient(path) as client:
        with pytest.raises(EngineUnavailableError):
            await bounded(client.model())
    async with engine(told()) as path, EngineClient(path) as client:
        assert (await client.model()).context_tokens == 4096


@pytest.mark.parametrize("lie", sorted(breaking(MAX_BYTES).keys() - {"a deep bomb"}))
async def test_an_engine_that_answers_without_end_is_not_ready(lie: str) -> None:
    async with engine(LIES[lie]) as path, EngineClient(path) as client:
        assert await bounded(client.healthy()) is False


@pytest.mark.parametrize(
    "lie", ["an endless refusal", "a refusal of less than nothing", "a deep refusal", "a byte at a time"]
)
async def test_a_refusal_without_end_is_read_to_its_bound(lie: str) -> None:
    answers: dict[str, Answering] = {
        "an endless refusal": lambda writer: endless(writer, "422 No"),
        "a refusal of less than nothing": chunked(b"-5", "422 No"),
        "a byte at a time": lambda writer: dripping(writer, "422 No"),
        "a deep refusal": saying(b"[" * 200_000, status="422 No"),
    }
    async with engine(answers[lie]) as path, EngineClient(path) as client:
        with pytest.raises(EngineUnavailableError):
            await bounded(anext(client.generate(ASK)))


async def heard(client: EngineClient) -> int:
    """How many tokens come of an answer."""
    return sum([isinstance(event, Token) async for event in client.generate(ASK)])


ANSWERS: dict[str, Answering] = {
    "a line without end": repeating(b" "),
    "a token that never ends": repeating(b'{"type": "token", "text": "'),
    "tokens without end": repeating(encode_event(Token("x" * 512))),
    "empty tokens without end": repeating(encode_event(Token(""))),
    "admitted without end": repeating(encode_event(Admitted(0, 1, 1))),
    "a deep line": saying(b"[" * 200_000 + b"\n"),
    "a zip bomb": LIES["a zip bomb"],
    "a chunk of less than nothing": LIES["a chunk of less than nothing"],
    "a chunk of no size": LIES["a chunk of no size"],
    "an endless head": LIES["an endless head"],
    "half": LIES["half"],
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_without_end_is_read_to_what_the_request_can_come_to(answer: str) -> None:
    async with engine(ANSWERS[answer]) as path, EngineClient(path) as client:
        with pytest.raises(EngineUnavailableError):
            await bounded(heard(client), most=48 << 20)


async def silence(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


def more(part: bytes) -> Answering:
    """Chunks without end, if it is one."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(part)
            await writer.drain()

    return answer


AFTER_THE_END: dict[str, Answering] = {
    "nothing, not even the end of the body": silence,
    "tokens": more(b"10000\r\n" + b'{"type": "token", "text": "x"}\n'.ljust(0x10000) + b"\r\n"),
    "a line": more(b"10000\r\n" + b" " * 0x10000 + b"\r\n"),
    "no chunks": more(b"z" * 0x10000),
    "an answer to nobody": more(b"0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
}
ENDED = End("stop", Usage(1, 0, 1), Timing(1, 1, 1), Energy(1, "estimated", 1, 1))


@pytest.mark.parametrize("rest", AFTER_THE_END)
async def test_what_comes_after_the_end_of_an_answer_neither_holds_nor_spoils_it(rest: str) -> None:
    whole = encode_event(Admitted(0, 1, 1)) + encode_event(Token("yes")) + encode_event(ENDED)

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(f"{len(whole):x}\r\n".encode() + whole + b"\r\n")
        await AFTER_THE_END[rest](writer)

    async with engine(answer) as path, EngineClient(path) as client:
        for _ in range(2):  # nor the next one
            assert await bounded(heard(client), most=32 << 20) == 1


async def test_a_line_in_many_parts_is_one_event() -> None:
    """As the network cuts it, and with others in one part."""
    whole = encode_event(Admitted(0, 1, 1)) + encode_event(Token("für")) + encode_event(Token("dich"))
    parts = (whole[:5], whole[5:-3], whole[-3:])

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in parts:
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")
        writer.close()

    async with engine(answer) as path, EngineClient(path) as client:
        events = client.generate(ASK)
        assert [await anext(events) for _ in range(3)] == [Admitted(0, 1, 1), Token("für"), Token("dich")]
        with pytest.raises(EngineUnavailableError, match="in the middle of an answer"):
            await anext(events)
