"""A batch that was not computed is in nobody's account: who was to read by it has read nothing, and reads next."""

from __future__ import annotations

import pytest

from appliance.engine.errors import DecodeError, GivenUpError, NoRoomError
from tests.engine.batches import Asked, Desk
from tests.engine.quoted import letters, right
from tests.engine.quoting_context import QuotingContext


def _beside_a_heavy_user() -> tuple[QuotingContext, Desk, list[Asked]]:
    """A heavy user's streams and long prompts, batches of a kind, and cells of somebody's that are parked."""
    context = QuotingContext(cells=2048, batch_tokens=32, sequences=64)
    desk = Desk(context, slots=6, chunk_tokens=16, apart_tokens=100)
    desk.run(desk.ask(letters(50, 20), user="gone"))
    heavy = [desk.ask(letters(n, 100), user="heavy", most=24) for n in range(8)]
    while not sum(bool(one.text) for one in heavy) >= 2:
        desk.batcher.step()
    return context, desk, heavy


def test_who_comes_new_and_finds_no_room_begins_with_the_batch_after_room_was_made() -> None:
    context, desk, heavy = _beside_a_heavy_user()
    light = desk.ask(letters(99, 12), user="light", most=4)
    context.failures = [NoRoomError("llama_decode found no room")]
    computed = len(context.batches)
    desk.batcher.step()
    assert len(context.batches) == computed, "it was the newcomer's batch that found none"
    desk.batcher.step()
    assert [piece.tokens for piece in context.batches[computed]] == [light.job.tokens]
    desk.run()
    assert all(map(right, [light, *heavy]))


@pytest.mark.parametrize("error", [NoRoomError, DecodeError, GivenUpError])
def test_the_scheduler_s_books_are_as_before_a_batch_that_was_not_computed(error: type[DecodeError]) -> None:
    context, desk, heavy = _beside_a_heavy_user()
    planner = desk.batcher._planner
    books = planner._schedulers[""]._books
    for _ in range(6):
        before = books()
        context.failures = [error("a batch that comes to nothing")]
        computed = len(context.batches)
        desk.batcher.step()
        assert len(context.batches) == computed
        assert books() == before
        desk.batcher.step()
        while planner._suspects:  # each is tried alone; one that fails then ends
            desk.batcher.step()
    desk.run()
    assert all(map(right, heavy))
