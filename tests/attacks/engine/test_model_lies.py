"""An engine that was taken over is asked what it serves, and whether it is ready: nothing of it is read without end."""

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
from appliance.engine.protocol import Request
from appliance.engine.tiers import MAX_BYTES
from tests.attacks.engine.lying_engine import breaking, chunked, dripping, endless, engine, saying

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
    "NaN": saying(b'{"record": {}, "receipt": {}, "context_tokens": NaN, "queue": {}}'),
}


async def bounded(ask: Any) -> Any:
    """What ``ask`` comes to; soon, and without much memory."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        return await asyncio.wait_for(ask, 20)
    finally:
        seconds, (_, most) = time.monotonic() - began, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 16 << 20
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
