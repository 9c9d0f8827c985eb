"""What computes by itself is waited for before its batch is drawn from or paid for, and others are told meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.engine import energy
from appliance.engine.errors import NoRoomError
from tests.engine.batches import Desk
from tests.engine.quoted import letters, right
from tests.engine.quoting_context import QuotingContext, QuotingSampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.context import Piece, Sampling

BATCH_S = 2.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class ApartContext(QuotingContext):
    """Its batches take ``BATCH_S``, and only who waits for them sees that pass."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(cells=512)
        self.apart = True
        self.clock = clock
        self.calls: list[str] = []

    def decode(self, pieces: Sequence[Piece]) -> list[int]:
        self.calls.append("decode")
        return super().decode(pieces)

    def wait(self) -> None:
        self.calls.append("wait")
        self.clock.now += BATCH_S

    def sampler(self, sampling: Sampling) -> QuotingSampler:
        return Noted(self, super().sampler(sampling))


class Noted(QuotingSampler):
    def __init__(self, context: ApartContext, sampler: QuotingSampler) -> None:
        super().__init__(context)
        self._noted, self._sampler = context, sampler

    def sample(self, row: int) -> int:
        self._noted.calls.append("draw")
        return self._sampler.sample(row)


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> ApartContext:
    clock = Clock()
    monkeypatch.setattr(energy, "time", clock)
    return ApartContext(clock)


def test_what_a_step_had_to_say_is_sent_while_the_next_batch_computes_and_nothing_is_drawn_before_that_is_done(
    context: ApartContext,
) -> None:
    desk = Desk(context, deliver=lambda: context.calls.append("deliver"))
    asked = [desk.ask(letters(n, 6), user=f"user {n}", most=4) for n in range(2)]
    desk.run()
    assert all(map(right, asked))
    steps = " ".join(context.calls).split("decode")[1:]
    assert steps
    for step in steps:
        deliver, wait, *draws = step.split()
        assert (deliver, wait, set(draws)) == ("deliver", "wait", {"draw"})


def test_a_batch_s_time_is_split_by_rows_and_not_charged_to_whoever_draws_first(context: ApartContext) -> None:
    desk = Desk(context, slots=2)
    asked = [desk.ask(letters(n, 6), user=f"user {n}", most=5) for n in range(2)]
    desk.run()
    assert all(map(right, asked))
    drawn = [one.end.usage.completion_tokens for one in asked]
    assert drawn == [5, 5], "side by side from the beginning to the end"
    charged = [one.end.energy.joules for one in asked]
    assert charged[0] == pytest.approx(charged[1])
    assert sum(charged) == pytest.approx((30 - 10) * BATCH_S * context.calls.count("wait"))


def test_a_step_without_a_batch_says_that_nothing_will_be_sent_by_the_next_one(context: ApartContext) -> None:
    desk = Desk(context)
    desk.ask(letters(1, 6), most=8)
    assert desk.batcher.step(), "a batch was computed, and the request goes on"
    context.failures = [NoRoomError("llama_decode found no room")]
    assert not desk.batcher.step()
    desk.run()
    assert not desk.batcher.step(), "nobody is there"


def test_how_things_stand_is_told_at_the_end_where_no_step_follows(context: ApartContext) -> None:
    desk = Desk(context)
    desk.run(desk.ask(letters(1, 20), most=4))
    assert sum(row.tokens for row in desk.batcher.accounts.shown.rows) == desk.batcher._store.live > 0
    assert f"engine_cells_live {float(desk.batcher._store.live)}" in desk.metrics.exposition().decode()
