"""A batch under way is given up for who comes new and would begin at once, and nobody is answered otherwise."""

from __future__ import annotations

import pytest

from appliance.engine.job import BATCH
from tests.engine.batches import Asked, Desk
from tests.engine.quoted import decoded, letters, right
from tests.engine.quoting_context import QuotingContext


def _long_streams(context: QuotingContext) -> tuple[Desk, list[Asked]]:
    """A heavy user's streams with much behind them, and more prompts of theirs; batches of a kind."""
    desk = Desk(context, slots=6, chunk_tokens=16, apart_tokens=100)
    heavy = [desk.ask(letters(n, 100), user="heavy", most=24) for n in range(12)]
    while not sum(bool(one.text) for one in heavy) >= 2:
        desk.batcher.step()
    return desk, heavy


def _light_asks_in_decode(number: int) -> tuple[QuotingContext, Desk, list[Asked], bool]:
    """A light user asks in the middle of the ``number``-th decode beside long streams; whether it is given up."""
    context = QuotingContext(cells=2048, batch_tokens=32, sequences=64)
    desk, heavy = _long_streams(context)
    desk.batcher._interruption._usual, desk.batcher._interruption._allowed_s = 60.0, 1.0
    light: list[Asked] = []
    given_up: list[bool] = []

    def meanwhile() -> None:
        given_up.append(False)
        if len(given_up) == number:
            light.append(desk.ask(letters(99, 12), user="light", most=4))
            desk.batcher.hurry(light[0].job)
            given_up[-1] = context.given_up

    context.meanwhile = meanwhile
    while not light:
        desk.batcher.step()
    return context, desk, [*light, *heavy], given_up[-1]


def test_the_batch_under_way_is_given_up_for_who_comes_new_and_nobody_is_answered_otherwise() -> None:
    times = 0
    for decode in range(1, 13):
        context, desk, asked, given_up = _light_asks_in_decode(decode)
        computed = len(context.batches)
        desk.batcher.step()
        if given_up:
            whole = [piece.tokens for piece in context.batches[computed]]
            assert asked[0].job.tokens in whole, "in the very next batch"
            times += len(whole) == 1
        desk.run()
        assert all(map(right, asked))
        assert context.rows == sum(len(one.job.tokens) + decoded(one) for one in asked), "nothing is computed twice"
        assert context.samplers == 0
    assert times >= 8, "by itself, unless who made way for it had the last of much to read"


@pytest.mark.parametrize("reason", ["other work of theirs runs", "nobody waits for it", "no place"])
def test_no_batch_is_given_up_for_who_would_not_begin_at_once(reason: str) -> None:
    context = QuotingContext(cells=2048, batch_tokens=32, sequences=64)
    desk, heavy = _long_streams(context)
    desk.batcher._interruption._usual, desk.batcher._interruption._allowed_s = 60.0, 1.0
    more = {"other work of theirs runs": {"user": "heavy"}, "nobody waits for it": {"rank": BATCH}, "no place": {}}
    wanted = []

    def meanwhile() -> None:
        if not wanted:
            asked = desk.ask(letters(99, 12), weight=0.01, **{"user": "light", **more[reason]})  # type: ignore[arg-type]  # of several types
            desk.batcher.hurry(asked.job)
            wanted.append(context.given_up)

    context.meanwhile = meanwhile
    desk.batcher.step()
    assert wanted == [False]
    desk.run()
    assert all(map(right, heavy))
