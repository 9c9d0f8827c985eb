from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from appliance.engine import client as engine_client
from appliance.engine import listening
from appliance.engine.client import (
    EngineBusyError,
    EngineClient,
    EngineDrainingError,
    EngineRefusedError,
    EngineUnavailableError,
)
from appliance.engine.protocol import Admitted, End, Event, Request, Token
from appliance.engine.served import receipt_digest
from appliance.engine.wire import BODY_MAX_BYTES
from tests.unit.engine.scripted_context import ScriptedContext, scripted_engine
from tests.unit.engine.served_engine import served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

ASK = Request(id="1", user="someone@example.org", group="clerks", prompt="hi", seed=7)


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


def _talk(socket: Path, work: Callable[[EngineClient], Awaitable[None]]) -> None:
    async def main() -> None:
        async with EngineClient(socket) as client:
            await work(client)

    asyncio.run(main())


async def _all(client: EngineClient, request: Request = ASK) -> list[Event]:
    return [event async for event in client.generate(request)]


def test_tokens_reach_the_client_one_by_one_while_the_engine_still_works(tmp_path: Path) -> None:
    gate = threading.Semaphore(1)
    with served(scripted_engine(ScriptedContext("ab", gate=gate)), tmp_path) as socket:

        async def work(client: EngineClient) -> None:
            events = client.generate(ASK)
            assert await anext(events) == Admitted(0, 3, 7)
            assert await anext(events) == Token("a")
            gate.release()
            assert await anext(events) == Token("b")
            gate.release()
            last = await anext(events)
            assert isinstance(last, End)
            await events.aclose()

        _talk(socket, work)


def test_one_request_after_another_needs_one_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[str] = []
    connect = anyio.connect_unix

    async def counted(path: str) -> object:
        connected.append(path)
        return await connect(path)

    monkeypatch.setattr(anyio, "connect_unix", counted)
    with served(scripted_engine(ScriptedContext("ab")), tmp_path) as socket:

        async def work(client: EngineClient) -> None:
            for _ in range(3):
                assert isinstance((await _all(client))[-1], End)
            assert await client.healthy()

        _talk(socket, work)
        assert connected == [str(socket)]


def test_an_engine_keeps_a_connection_for_longer_than_a_client_uses_it() -> None:
    """Else a request may be sent in the moment in which it is closed, and is lost."""
    assert listening.KEPT_S > 2 * engine_client.IDLE_S


def test_what_is_served_is_told(tmp_path: Path) -> None:
    with served(scripted_engine(ScriptedContext()), tmp_path) as socket:

        async def work(client: EngineClient) -> None:
            model = await client.model()
            assert (model.record, model.receipt, model.context_tokens) == ({"name": "m"}, {"digest": "sha256:0"}, 64)
            assert model.queue == {"running": 0, "waiting": 0, "limit": 2}
            assert await client.healthy()

        _talk(socket, work)


def test_a_client_that_goes_away_while_the_prompt_is_read_stops_the_engine_within_one_decode(tmp_path: Path) -> None:
    gate = threading.Semaphore(2)
    context = ScriptedContext("ok", gate=gate)
    engine = scripted_engine(context)
    with served(engine, tmp_path) as socket:

        async def work(client: EngineClient) -> None:
            events = client.generate(Request(id="1", user="u", group="g", prompt="x" * 40))
            await anext(events)
            await _until(lambda: len(context.decoded) == 2)
            await events.aclose()
            await asyncio.sleep(0.2)
            gate.release(1000)
            await _until(lambda: engine.status().running == 0)

        _talk(socket, work)
    assert len(context.decoded) <= 3


def test_a_full_queue_is_busy_and_says_when_to_come_back(tmp_path: Path) -> None:
    gate = threading.Semaphore(0)
    engine = scripted_engine(ScriptedContext("ok", gate=gate), queue_limit=1)
    with served(engine, tmp_path) as socket:

        async def work(client: EngineClient) -> None:
            running, waiting = client.generate(ASK), client.generate(ASK)
            await anext(running)
            await _until(lambda: engine.status().running == 1)
            second = await anext(waiting)
            assert isinstance(second, Admitted)
            assert second.queue_position == 1
            with pytest.raises(EngineBusyError) as busy:
                await _all(client)
            assert busy.value.retry_after >= 1
            gate.release(1000)
            await running.aclose()
            await waiting.aclose()

        _talk(socket, work)


def test_a_refusal_carries_its_code_and_words(tmp_path: Path) -> None:
    with served(scripted_engine(ScriptedContext(context_tokens=8)), tmp_path) as socket:

        async def work(client: EngineClient) -> None:
            with pytest.raises(EngineRefusedError, match="context holds 8") as refused:
                await _all(client, Request(id="1", user="u", group="g", prompt="x" * 50))
            assert refused.value.code == "context_length_exceeded"

        _talk(socket, work)


def test_a_request_that_was_admitted_for_another_model_is_not_answered(tmp_path: Path) -> None:
    context = ScriptedContext("ok")
    with served(scripted_engine(context), tmp_path) as socket:

        async def work(client: EngineClient) -> None:
            model = await client.model()
            for receipt in ({**model.receipt, "signers": ["outsider"]}, {}):
                with pytest.raises(EngineDrainingError):
                    await _all(client, replace(ASK, receipt_digest=receipt_digest(receipt)))
            assert context.decoded == []
            assert await _all(client, replace(ASK, receipt_digest=receipt_digest(model.receipt)))

        _talk(socket, work)


def test_a_draining_engine_refuses_and_is_not_healthy(tmp_path: Path) -> None:
    engine = scripted_engine(ScriptedContext())
    with served(engine, tmp_path) as socket:

        async def work(client: EngineClient) -> None:
            await engine.drain(0)
            with pytest.raises(EngineDrainingError):
                await _all(client)
            assert not await client.healthy()

        _talk(socket, work)


def test_a_failed_request_is_an_unavailable_engine_to_the_client(tmp_path: Path) -> None:
    context = ScriptedContext()
    context.fail_at = 0
    with served(scripted_engine(context), tmp_path) as socket:

        async def work(client: EngineClient) -> None:
            with pytest.raises(EngineUnavailableError, match="llama_decode returned -3"):
                await _all(client)

        _talk(socket, work)


def test_no_engine_is_an_unavailable_engine(tmp_path: Path) -> None:
    async def work(client: EngineClient) -> None:
        with pytest.raises(EngineUnavailableError):
            await _all(client)
        with pytest.raises(EngineUnavailableError):
            await client.model()
        assert not await client.healthy()

    _talk(tmp_path / "nobody", work)


def test_an_oversized_request_is_refused_without_being_parsed(tmp_path: Path) -> None:
    with (
        served(scripted_engine(ScriptedContext()), tmp_path) as socket,
        httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as http,
    ):
        response = http.post("http://engine/generate", content=b" " * (BODY_MAX_BYTES + 1))
        assert response.status_code == 422
        assert response.json()["error"]["code"] == "request_too_large"


def test_metrics_count_work_and_name_no_person(tmp_path: Path) -> None:
    with served(scripted_engine(ScriptedContext("ok")), tmp_path) as socket:

        async def work(client: EngineClient) -> None:
            await _all(client)

        _talk(socket, work)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as http:
            text = http.get("http://engine/metrics").text
    assert "engine_running 0.0" in text
    for word in ("someone", "example", "clerks", "hi"):
        assert f'"{word}' not in text
