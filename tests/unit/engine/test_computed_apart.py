"""What computes by itself is waited for before its batch is drawn from or paid for, and others are told meanwhile."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from appliance.engine import accounts, batcher, energy
from appliance.engine.errors import NoRoomError
from appliance.engine.protocol import Request, Token
from tests.engine.batches import Desk
from tests.engine.quoted import letters, right
from tests.engine.quoting_context import QuotingContext, QuotingSampler
from tests.unit.engine.scripted_context import ScriptedContext, scripted_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.context import Piece, Sampling
    from appliance.engine.protocol import Event

BATCH_S = 2.0
PATIENCE_S = 20


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic


class ApartContext(QuotingContext):
    """Its batches take ``BATCH_S``, which pass for whoever waits for them, or draws from them before."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(cells=512)
        self.apart = True
        self.clock = clock
        self.calls: list[str] = []
        self._computing = False

    def decode(self, pieces: Sequence[Piece]) -> list[int]:
        self.calls.append("decode")
        rows = super().decode(pieces)
        self._computing = True
        return rows

    def wait(self) -> None:
        self.calls.append("wait")
        self.computed()

    def adapt(self, adapter: str) -> None:
        self.calls += ["adapt"] if adapter != self.adapter else []
        super().adapt(adapter)

    def computed(self) -> None:
        self.clock.now += BATCH_S if self._computing else 0.0
        self._computing = False

    def sampler(self, sampling: Sampling) -> QuotingSampler:
        super().sampler(sampling)
        return NotedSampler(self)


class NotedSampler(QuotingSampler):
    def __init__(self, context: ApartContext) -> None:
        super().__init__(context)
        self._noted = context

    def sample(self, row: int) -> int:
        self._noted.calls.append("draw")
        self._noted.computed()
        return super().sample(row)


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> ApartContext:
    clock = Clock()
    for module in (accounts, batcher, energy):
        monkeypatch.setattr(module, "time", clock)
    return ApartContext(clock)


def test_what_a_step_had_to_say_is_sent_while_the_next_batch_computes_and_nothing_is_drawn_before_that_is_done(
    context: ApartContext,
) -> None:
    desk = Desk(context, deliver=lambda: context.calls.append("deliver"))
    asked = [desk.ask(letters(n, 6), user=f"user {n}", most=4) for n in range(2)]
    assert desk.batcher.step()
    context.calls.clear()
    while desk.batcher.step():
        pass
    assert all(map(right, asked))
    steps = " ".join(context.calls).split("decode")[1:]
    assert len(steps) > 1
    for step in steps:
        deliver, wait, *draws = step.split()
        assert (deliver, wait, set(draws)) == ("deliver", "wait", {"draw"})


def test_what_was_said_is_sent_before_somebody_begins_whose_cells_may_lie_on_disk(context: ApartContext) -> None:
    desk = Desk(context, deliver=lambda: context.calls.append("deliver"))
    desk.ask(letters(1, 6), most=8)
    assert desk.batcher.step(), "it has something left to say"
    context.calls.clear()
    desk.ask(letters(2, 6), user="another")
    desk.batcher.step()
    assert context.calls[:2] == ["deliver", "decode"]


def test_what_was_said_is_sent_before_an_adapter_is_set(context: ApartContext) -> None:
    desk = Desk(context, deliver=lambda: context.calls.append("deliver"))
    for number, adapter in enumerate(("", "formal")):
        desk.ask(letters(number, 6), user=adapter, adapter=adapter, most=12)
    desk.run()
    changes = [n for n, call in enumerate(context.calls) if call == "adapt"]
    assert len(changes) > 1, "they take turns"
    assert {context.calls[n - 1] for n in changes} == {"deliver"}


def test_a_batch_s_time_is_split_by_rows_and_not_charged_to_whoever_draws_first(context: ApartContext) -> None:
    desk = Desk(context, slots=2)
    asked = [desk.ask(letters(n, 6), user=f"user {n}", most=5) for n in range(2)]
    desk.run()
    assert all(map(right, asked))
    drawn = [one.end.usage.completion_tokens for one in asked]
    assert drawn == [5, 5], "side by side from the beginning to the end"
    charged = [one.end.energy.joules for one in asked]
    assert charged[0] == pytest.approx(charged[1])
    assert sum(charged) == pytest.approx((30 - 10) * BATCH_S * context.calls.count("decode")) != 0


def test_a_step_without_a_batch_leaves_nothing_to_the_next_one(context: ApartContext) -> None:
    desk = Desk(context)
    desk.ask(letters(1, 6), most=8)
    assert desk.batcher.step(), "a batch was computed, and the request goes on"
    context.failures = [NoRoomError("llama_decode found no room")]
    assert not desk.batcher.step()
    desk.run()
    assert not desk.batcher.step(), "nobody is there"


def test_a_processor_leaves_nothing_to_the_next_step() -> None:
    desk = Desk(QuotingContext())
    desk.ask(letters(1, 6), most=4)
    assert not desk.batcher.step()
    assert desk.batcher.running


def test_how_things_stand_is_told_while_requests_are_at_work_and_at_the_end(context: ApartContext) -> None:
    desk = Desk(context)
    asked = desk.ask(letters(1, 20), most=8)
    while not asked.text:
        desk.batcher.step()
    assert any(row.tier == "live" and row.tokens for row in desk.batcher.accounts.shown.rows)
    assert "engine_cells_live 0.0" not in desk.metrics.exposition().decode()
    desk.run(asked)
    live = desk.batcher._store.live
    assert sum(row.tokens for row in desk.batcher.accounts.shown.rows) == live > 0
    assert f"engine_cells_live {float(live)}" in desk.metrics.exposition().decode()


def test_what_is_done_while_a_batch_computes_is_scheduling_and_not_computing(context: ApartContext) -> None:
    def slow() -> None:
        context.clock.now += 1.0

    desk = Desk(context, deliver=slow)
    desk.run(desk.ask(letters(1, 6), most=4))
    spent = desk.metrics._scheduling._value.get()
    assert spent >= context.calls.count("decode") > 0


def test_a_token_arrives_while_the_next_batch_is_still_being_computed() -> None:
    computed = threading.Semaphore(0)

    class Slow(ScriptedContext):
        def wait(self) -> None:
            assert computed.acquire(timeout=PATIENCE_S), "the test never let this batch be computed"

    context = Slow("abc", batch_tokens=64)
    context.apart = True
    engine = scripted_engine(context)

    async def work() -> None:
        events: asyncio.Queue[Event] = asyncio.Queue()

        async def listen() -> None:
            async for event in engine.submit(Request(id="1", user="u", group="g", prompt="hi")):
                events.put_nowait(event)

        listening = asyncio.create_task(listen())
        said = ""
        for _ in "abc":
            computed.release()
            while not isinstance(event := await asyncio.wait_for(events.get(), PATIENCE_S), Token):
                pass
            said += event.text
        computed.release()
        await listening
        assert said == "abc"

    engine.start()
    try:
        asyncio.run(work())
    finally:
        engine.stop()
