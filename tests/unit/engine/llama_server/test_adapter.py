from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from appliance.engine.errors import (
    EngineBusyError,
    EngineDrainingError,
    EngineRefusedError,
    EngineUnavailableError,
)
from appliance.engine.llama_server.completion import Piece
from appliance.engine.protocol import Admitted, End, Event, Failed, Message, Request, Token
from tests.unit.engine.llama_server.scripted_server import ScriptedServer, adapter, ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.engine.llama_server.adapter import LlamaServerEngine

pytestmark = pytest.mark.anyio
ANSWER = (Piece("o"), Piece("k"), ended())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _ask(text: str | None = "hi", **more: object) -> Request:
    return Request(id="1", user="u", group="g", **{"prompt": text, **more})  # type: ignore[arg-type]


async def _all(engine: LlamaServerEngine, request: Request) -> list[Event]:
    return [event async for event in engine.submit(request)]


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


async def test_a_request_is_admitted_answered_and_ended() -> None:
    server = ScriptedServer(ANSWER)
    events = await _all(adapter(server), _ask(seed=7))
    assert events[:3] == [Admitted(0, 3, 7), Token("o"), Token("k")]
    assert isinstance(events[3], End)
    assert events[3].finish_reason == "stop"
    assert events[3].usage.completion_tokens == 2
    assert server.asked[0]["prompt"] == [1, ord("h"), ord("i")]


async def test_nobody_s_prompt_is_kept_for_anybody() -> None:
    server = ScriptedServer(ANSWER)
    engine = adapter(server)
    for _ in range(2):
        last = (await _all(engine, _ask()))[-1]
        assert isinstance(last, End)
        assert last.usage.cached_tokens == 0
    assert [asked["cache_prompt"] for asked in server.asked] == [False, False]
    assert all("id_slot" not in asked for asked in server.asked)


async def test_no_more_are_computed_at_once_than_there_are_slots_and_the_next_is_refused() -> None:
    server = ScriptedServer(ANSWER)
    server.gate.clear()
    engine = adapter(server, slots=2, limit=2)
    running = [asyncio.create_task(_all(engine, _ask())) for _ in range(4)]
    await _until(lambda: engine.status().running == 2 and engine.status().waiting == 2)
    with pytest.raises(EngineBusyError) as refused:
        await _all(engine, _ask())
    assert refused.value.retry_after >= 1
    server.gate.set()
    answers = await asyncio.gather(*running)
    positions = sorted(events[0].queue_position for events in answers if isinstance(events[0], Admitted))
    assert positions == [0, 0, 1, 2]
    assert server.most == 2
    assert engine.status().running == engine.status().waiting == 0


async def test_a_client_that_leaves_frees_its_slot_and_closes_the_connection() -> None:
    server = ScriptedServer(ANSWER)
    server.gate.clear()
    engine = adapter(server, slots=1)
    leaving = engine.submit(_ask())
    assert isinstance(await anext(leaving), Admitted)
    assert await anext(leaving) == Token("o")
    await leaving.aclose()
    assert server.computing == 0
    assert engine.status().running == 0


async def test_a_client_that_leaves_while_it_waits_is_never_computed() -> None:
    server = ScriptedServer(ANSWER)
    server.gate.clear()
    engine = adapter(server, slots=1)
    first = asyncio.create_task(_all(engine, _ask()))
    await _until(lambda: engine.status().running == 1)
    waiting = engine.submit(_ask("other"))
    admitted = await anext(waiting)
    assert isinstance(admitted, Admitted)
    assert admitted.queue_position == 1
    await waiting.aclose()
    server.gate.set()
    await first
    assert len(server.asked) == 1


async def test_draining_lets_the_running_answer_finish_and_takes_nothing_new() -> None:
    server = ScriptedServer(ANSWER)
    server.gate.clear()
    engine = adapter(server)
    running = asyncio.create_task(_all(engine, _ask()))
    await _until(lambda: engine.status().running == 1)
    draining = asyncio.create_task(engine.drain(60))
    await _until(lambda: not engine.status().accepting)
    with pytest.raises(EngineDrainingError):
        await _all(engine, _ask())
    server.gate.set()
    await draining
    last = (await running)[-1]
    assert isinstance(last, End)
    assert last.finish_reason == "stop"


async def test_draining_past_its_bound_cancels_what_is_left() -> None:
    server = ScriptedServer(ANSWER)
    server.gate.clear()
    engine = adapter(server, slots=1)
    tasks = [asyncio.create_task(_all(engine, _ask())) for _ in range(2)]
    await _until(lambda: engine.status().waiting == 1)
    await engine.drain(0)
    for events in await asyncio.gather(*tasks):
        assert isinstance(events[-1], End)
        assert events[-1].finish_reason == "cancelled"
    assert server.computing == 0


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (Failed("decode_failed", "llama-server could not finish this request"), "decode_failed"),
        (EngineUnavailableError("llama-server stopped in the middle of an answer"), "engine_stopped"),
    ],
)
async def test_a_request_that_the_server_fails_ends_as_failed_and_the_next_is_answered(
    said: Failed | Exception, code: str
) -> None:
    server = ScriptedServer((Piece("o"), said))
    engine = adapter(server)
    last = (await _all(engine, _ask()))[-1]
    assert isinstance(last, Failed)
    assert last.code == code
    server.answer = ANSWER
    assert isinstance((await _all(engine, _ask()))[-1], End)


async def test_what_cannot_be_asked_is_refused_before_it_takes_a_place() -> None:
    server = ScriptedServer(ANSWER)
    engine = adapter(server, context_tokens=16)
    with pytest.raises(EngineRefusedError) as long:
        await _all(engine, _ask("x" * 15))
    assert long.value.code == "context_length_exceeded"
    with pytest.raises(EngineRefusedError, match="gives no log probabilities"):
        await _all(engine, _ask(top_logprobs=0))
    with pytest.raises(EngineRefusedError) as schema:
        await _all(engine, _ask(json_schema={"type": "nonsense"}))
    assert schema.value.code == "invalid_json_schema"
    assert server.asked == []


async def test_a_schema_goes_as_grammar_and_a_conversation_brings_the_template_s_stop() -> None:
    server = ScriptedServer(ANSWER)
    asked = _ask(None, messages=(Message("user", "hi"),), stop=("!",), json_schema={"type": "boolean"})
    await _all(adapter(server), asked)
    assert server.asked[0]["stop"] == ["!", "<end>"]
    assert "root ::=" in server.asked[0]["grammar"]
    assert server.asked[0]["prompt"] == [1, 900, ord("h"), ord("i"), 901, 900]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"text": None, "inputs": ("a text",)}, "not_an_embedding_model"),
        ({"adapter": "formal"}, "unknown_adapter"),
    ],
)
async def test_what_only_our_own_engine_does_is_refused_before_it_takes_a_place(
    more: dict[str, Any], code: str
) -> None:
    server = ScriptedServer(ANSWER)
    with pytest.raises(EngineRefusedError) as caught:
        await _all(adapter(server), _ask(**more))
    assert caught.value.code == code
    assert server.asked == []
