"""A request that is refused costs the requests at work nothing."""

from __future__ import annotations

import asyncio
import threading

import pytest

from appliance.engine.batching import BatchingEngine
from appliance.engine.errors import EngineRefusedError
from appliance.engine.metrics import EngineMetrics
from appliance.engine.prompt import PromptReader
from appliance.engine.protocol import End, Event, Request, Token
from appliance.engine.template import ChatTemplate
from tests.engine.quoted import WINDOW
from tests.engine.quoting_context import ADAPTERS, QuotingContext, expected
from tests.unit.engine.scripted_context import DRAW, TEMPLATE

PROMPTS = {"": "somebody asks something", ADAPTERS[0]: "and another one asks too"}


def test_an_adapter_that_is_not_served_is_refused_beside_two_who_are_answered() -> None:
    context = QuotingContext(cells=512)
    reader, gate = PromptReader(context, ChatTemplate(TEMPLATE, ())), threading.Semaphore(0)
    context.meanwhile = lambda: None if gate.acquire(timeout=20) else pytest.fail("it was never let through")
    engine = BatchingEngine(context, reader, slots=4, queue_limit=4, draw=DRAW, metrics=EngineMetrics())

    async def ask(prompt: str, adapter: str) -> list[Event]:
        request = Request(id=prompt, user=prompt, group="g", prompt=prompt, adapter=adapter or None, max_tokens=20)
        return [event async for event in engine.submit(request)]

    async def work() -> None:
        asked = [asyncio.create_task(ask(prompt, adapter)) for adapter, prompt in PROMPTS.items()]
        for _ in range(2000):
            if engine.status().running == len(asked):
                break
            if not engine.status().running or engine.status().waiting:
                gate.release()  # a step: who waits is taken in before the next one
            await asyncio.sleep(0.005)
        before = engine.status()
        assert before.running == len(asked)
        for name in ("poetic", ADAPTERS[0].upper(), f"{ADAPTERS[0]}\n", "x" * 1000):
            with pytest.raises(EngineRefusedError) as refused:
                await ask("a third one", name)
            assert refused.value.code == "unknown_adapter"
            assert len(refused.value.cause) < 200
        assert engine.status() == before
        gate.release(1000)
        for (adapter, prompt), events in zip(PROMPTS.items(), await asyncio.gather(*asked), strict=True):
            assert isinstance(events[-1], End)
            told = "".join(event.text for event in events if isinstance(event, Token))
            assert told == bytes(expected(prompt.encode(), 20, WINDOW, adapter)).decode()

    engine.start()
    try:
        asyncio.run(asyncio.wait_for(work(), 60))
    finally:
        gate.release(1000)
        engine.stop()
    assert b"a third one" not in bytes(t for batch in context.batches for piece in batch for t in piece.tokens)
