from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from appliance.engine.batching import BatchingEngine
from appliance.engine.errors import EngineBusyError, EngineDrainingError, EngineRefusedError
from appliance.engine.metrics import EngineMetrics
from appliance.engine.pace import PROCESSOR
from appliance.engine.prompt import PromptReader
from appliance.engine.protocol import Admitted, End, Event, Failed, Message, Request, Token
from appliance.engine.template import ChatTemplate
from tests.engine.quoting_context import QuotingContext
from tests.unit.engine.scripted_context import DRAW, TEMPLATE, ScriptedContext, scripted_engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from appliance.engine.context import Piece


def _ask(text: str = "hi", **more: object) -> Request:
    return Request(id="1", user="u", group="g", **{"prompt": text, **more})  # type: ignore[arg-type]


async def _all(engine: BatchingEngine, request: Request) -> list[Event]:
    return [event async for event in engine.submit(request)]


def _with(engine: BatchingEngine, work: Callable[[], Awaitable[None]]) -> None:
    engine.start()
    try:
        asyncio.run(work())
    finally:
        engine.stop()


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


@pytest.mark.parametrize("apart", [False, True])
def test_a_request_is_admitted_answered_and_ended(*, apart: bool) -> None:
    context = ScriptedContext("ok")
    context.apart = apart
    engine = scripted_engine(context)

    async def work() -> None:
        events = await _all(engine, _ask(seed=7))
        assert events[:3] == [Admitted(0, 3, 7), Token("o"), Token("k")]
        assert isinstance(events[3], End)
        assert events[3].finish_reason == "stop"

    _with(engine, work)


def test_log_probabilities_come_with_the_text_that_their_tokens_became() -> None:
    """A token is a byte here: é is two of them, and `.\n` is held back until it cannot become the stop string."""
    engine = scripted_engine(ScriptedContext("é.\nx.\n\nno"))

    async def work() -> None:
        events = await _all(engine, _ask(top_logprobs=2, stop=(".\n\n",)))
        tokens = [event for event in events if isinstance(event, Token)]
        assert [(t.text, [found.piece for found in t.logprobs]) for t in tokens] == [
            ("é", [b"\xc3", b"\xa9"]),
            (".\nx", [b".", b"\n", b"x"]),
        ]
        assert {found.top for t in tokens for found in t.logprobs} == {((b"A", -1.0), (b"B", -2.0))}
        assert not any(t.logprobs for t in await _all(engine, _ask()) if isinstance(t, Token))

    _with(engine, work)


def test_only_the_owner_thread_touches_the_context() -> None:
    context = ScriptedContext("ok")
    engine = scripted_engine(context)

    async def work() -> None:
        await asyncio.gather(_all(engine, _ask()), _all(engine, _ask()))

    _with(engine, work)
    assert len(context.owners) == 1
    assert threading.get_ident() not in context.owners


def test_a_drawn_seed_is_stated_and_used() -> None:
    context = ScriptedContext("ok")
    engine = scripted_engine(context)

    async def work() -> None:
        admitted = (await _all(engine, _ask()))[0]
        assert isinstance(admitted, Admitted)
        assert context.samplings[0].seed == admitted.seed

    _with(engine, work)


def test_waiting_requests_know_their_place_and_the_next_one_is_refused() -> None:
    gate = threading.Semaphore(0)
    engine = scripted_engine(ScriptedContext("ok", gate=gate), queue_limit=1)

    async def work() -> None:
        running, waiting = engine.submit(_ask()), engine.submit(_ask())
        await anext(running)
        await _until(lambda: engine.status().running == 1)
        second = await anext(waiting)
        assert isinstance(second, Admitted)
        assert second.queue_position == 1
        with pytest.raises(EngineBusyError):
            await anext(engine.submit(_ask()))
        gate.release(1000)
        assert isinstance([event async for event in running][-1], End)
        assert isinstance([event async for event in waiting][-1], End)

    _with(engine, work)


def test_a_request_that_goes_away_while_it_waits_is_never_computed() -> None:
    gate = threading.Semaphore(0)
    context = ScriptedContext("ok", gate=gate)
    engine = scripted_engine(context)

    async def work() -> None:
        running, waiting = engine.submit(_ask("first")), engine.submit(_ask("second"))
        await anext(running)
        await _until(lambda: engine.status().running == 1)
        await anext(waiting)
        await waiting.aclose()
        assert engine.status().waiting == 0
        gate.release(1000)
        await running.aclose()

    _with(engine, work)
    assert b"second" not in bytes(t for tokens, _ in context.decoded for t in tokens if t < 256)


def test_closing_the_iterator_stops_a_running_request_within_one_decode() -> None:
    gate = threading.Semaphore(3)
    context = ScriptedContext("a" * 40, gate=gate)
    engine = scripted_engine(context)

    async def work() -> None:
        events = engine.submit(_ask())
        async for event in events:
            if isinstance(event, Token):
                break
        await _until(lambda: len(context.decoded) == 3)
        await events.aclose()
        gate.release(1000)
        await _until(lambda: engine.status().running == 0)

    _with(engine, work)
    assert len(context.decoded) <= 4


def test_a_prompt_longer_than_the_context_is_refused_before_it_is_queued() -> None:
    engine = scripted_engine(ScriptedContext(context_tokens=8))

    async def work() -> None:
        with pytest.raises(EngineRefusedError) as refused:
            await _all(engine, _ask("x" * 8))
        assert refused.value.code == "context_length_exceeded"
        assert engine.status().waiting == 0

    _with(engine, work)


@pytest.mark.parametrize(
    "schema", [{"type": "object", "minProperties": 1}, {"type": "nothing"}, {"$ref": "http://x/y"}]
)
def test_a_schema_that_cannot_be_kept_is_refused(schema: dict[str, object]) -> None:
    engine = scripted_engine(ScriptedContext())

    async def work() -> None:
        with pytest.raises(EngineRefusedError) as refused:
            await _all(engine, _ask(json_schema=schema))
        assert refused.value.code == "invalid_json_schema"

    _with(engine, work)


def test_a_conversation_stops_at_the_templates_stop_string() -> None:
    engine = scripted_engine(ScriptedContext("yes\nuser: no"), stops=("\nuser:",))

    async def work() -> None:
        events = await _all(engine, Request(id="1", user="u", group="g", messages=(Message("user", "?"),)))
        assert "".join(event.text for event in events if isinstance(event, Token)) == "yes"

    _with(engine, work)


def test_draining_finishes_what_was_admitted_and_refuses_what_comes_later() -> None:
    gate = threading.Semaphore(0)
    engine = scripted_engine(ScriptedContext("ok", gate=gate))

    async def work() -> None:
        running, waiting = engine.submit(_ask()), engine.submit(_ask())
        await anext(running)
        await anext(waiting)
        draining = asyncio.create_task(engine.drain(30))
        await _until(lambda: not engine.status().accepting)
        with pytest.raises(EngineDrainingError):
            await anext(engine.submit(_ask()))
        gate.release(1000)
        for events in (running, waiting):
            last = [event async for event in events][-1]
            assert isinstance(last, End)
            assert last.finish_reason == "stop"
        await draining

    _with(engine, work)


def test_draining_cancels_what_outlasts_the_bound() -> None:
    gate = threading.Semaphore(0)
    engine = scripted_engine(ScriptedContext("ok", gate=gate))

    async def work() -> None:
        running = engine.submit(_ask())
        await anext(running)
        await _until(lambda: engine.status().running == 1)
        draining = asyncio.create_task(engine.drain(0))
        await asyncio.sleep(0.1)
        gate.release(1000)
        last = [event async for event in running][-1]
        assert isinstance(last, End)
        assert last.finish_reason == "cancelled"
        await draining

    _with(engine, work)


def test_a_failed_step_is_reported_and_the_next_request_is_answered() -> None:
    context = ScriptedContext("ok")
    context.fail_at = 0
    engine = scripted_engine(context)

    async def work() -> None:
        assert isinstance((await _all(engine, _ask()))[-1], Failed)
        context.fail_at = None
        assert isinstance((await _all(engine, _ask()))[-1], End)

    _with(engine, work)


def test_a_question_that_arrives_while_anothers_stream_is_computed_is_computed_next() -> None:
    """Through ``submit``, from the loop's thread, while the owner's is in the middle of a decode."""
    context = QuotingContext(cells=512, batch_tokens=32)
    prompts = PromptReader(context, ChatTemplate(TEMPLATE, ()))
    metrics = EngineMetrics()
    apart = replace(PROCESSOR, apart_tokens=1)
    engine = BatchingEngine(context, prompts, slots=4, queue_limit=4, draw=DRAW, metrics=metrics, limits=apart)
    interruption = engine._batcher._interruption
    interruption._usual = interruption._allowed_s = 1000.0
    inside, given_up = threading.Event(), threading.Event()

    def meanwhile() -> None:
        if len(context.batches) == 3 and not inside.is_set():
            inside.set()
            for _ in range(2000):
                if context.given_up:
                    given_up.set()
                    return
                time.sleep(0.005)

    context.meanwhile = meanwhile

    async def work() -> None:
        stream = asyncio.create_task(_all(engine, _ask("a long text that is quoted", max_tokens=40)))
        await _until(inside.is_set)
        short = Request(id="2", user="another", group="g", prompt="short", max_tokens=2)
        assert isinstance((await _all(engine, short))[-1], End)
        assert isinstance((await stream)[-1], End)

    _with(engine, work)
    assert given_up.is_set()
    (piece,) = context.batches[3]
    assert bytes(piece.tokens) == b"short"
    assert 'engine_made_way_total{kind="given_up"} 1.0' in metrics.exposition().decode()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_in_the_owner_thread_ends_every_stream_and_turns_health_bad() -> None:
    context = ScriptedContext("ok")

    def decode(pieces: Sequence[Piece]) -> list[int]:
        raise RuntimeError(f"a defect in {len(pieces)} pieces")

    context.decode = decode  # type: ignore[method-assign]
    engine = scripted_engine(context)

    async def work() -> None:
        last = (await _all(engine, _ask()))[-1]
        assert isinstance(last, Failed)
        assert last.code == "engine_stopped"
        await _until(lambda: not engine.alive)
        with pytest.raises(EngineDrainingError):
            await _all(engine, _ask())
        await engine.drain(30)

    _with(engine, work)
