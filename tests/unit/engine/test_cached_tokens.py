"""A receipt's cached tokens are those of the prompt that were never computed for it, however often it was put off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.engine.errors import DecodeError, NoRoomError
from appliance.engine.metering import Meter
from appliance.engine.protocol import Spared
from tests.engine.batches import DRAW, Asked, Desk
from tests.engine.computed import Computed
from tests.engine.quoted import letters, right
from tests.engine.quoting_context import QuotingContext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.context import Piece

SITE = letters(99, 40)


def _put_off_while_reading(desk: Desk) -> Asked:
    """Who begins with what the site wrote, has read some tokens of their own, and is put off; another one runs."""
    desk.run(desk.ask([*SITE, *letters(1, 4)], user="first", site=40, most=1))
    desk.ask(letters(2, 20), user="other", most=60)
    asked = desk.ask([*SITE, *letters(3, 60)], site=40, most=4)
    while not any(r.job is asked.job and r.filled > 50 for r in desk.batcher._residents):
        desk.batcher.step()
    while desk.batcher._cache.evict():
        pass  # so that a decode that finds no room puts somebody off
    desk.context.failures = [NoRoomError("llama_decode found no room")]  # type: ignore[attr-defined]
    desk.batcher.step()
    assert asked.job in desk.queue.waiting()
    return asked


@pytest.mark.parametrize("copied", [True, False])
def test_who_is_put_off_has_spared_what_was_not_read_in_the_end(*, copied: bool) -> None:
    desk = Desk(QuotingContext(cells=512), slots=2)
    computed = Computed(desk)
    copies = desk.batcher._reception._copies
    copies.take(0 if copied else copies._left)
    asked = _put_off_while_reading(desk)
    desk.run()
    assert right(asked)
    assert (asked.cached, asked.end.spared) == ((40, (Spared("parked", "site", 40),)) if copied else (0, ()))
    assert asked.cached == len(asked.job.tokens) - computed.tokens(asked)
    assert (computed.again > 0) is not copied


def test_what_another_one_read_in_between_is_spared_though_its_beginning_was_not() -> None:
    desk = Desk(QuotingContext(cells=512), slots=2)
    computed = Computed(desk)
    desk.batcher._reception._copies.take(128)
    asked = _put_off_while_reading(desk)
    read = computed.tokens(asked)
    pair = desk.batcher._cache.take()
    assert pair is not None
    desk.context.append([(token, at, pair) for at, token in enumerate(asked.job.tokens[:90])])  # type: ignore[attr-defined]
    desk.batcher._store.appended(pair, 90)
    desk.batcher._cache.park(asked.job.passages[-1].owner, asked.job.tokens[:90], pair)
    desk.run()
    assert right(asked)
    assert asked.end.spared == (Spared("parked", "site", 40), Spared("parked", "user", 50 - read))
    assert asked.cached == len(asked.job.tokens) - computed.tokens(asked)
    assert computed.again == 0


class Losing(QuotingContext):
    """Loses the cells of everybody in a batch that fails."""

    def decode(self, pieces: Sequence[Piece]) -> list[int]:
        if self.failures:
            for sequence in {sequence for piece in pieces for sequence in piece.sequences}:
                self.cut(sequence, 0)
            raise self.failures.pop()
        return super().decode(pieces)


def test_who_lost_their_cells_with_a_batch_that_failed_was_spared_nothing() -> None:
    context = Losing(cells=512)
    desk = Desk(context, slots=2)
    computed = Computed(desk)
    desk.run(desk.ask([*SITE, *letters(1, 4)], user="first", site=40, most=1))
    asked = desk.ask([*SITE, *letters(3, 30)], site=40, most=4)
    desk.batcher.step()
    context.failures = [DecodeError("llama_decode returned -3")]
    desk.run()
    assert right(asked)
    assert (asked.cached, asked.end.spared) == (0, ())
    assert computed.tokens(asked) == len(asked.job.tokens)


def test_a_token_is_spared_or_read_and_never_both() -> None:
    meter = Meter(0.0, 100, DRAW)
    meter.spare([Spared("pinned", "site", 20), Spared("parked", "user", 20)])
    assert (meter.cached_tokens, meter.reached) == (40, 40)
    meter.read(40, 60)
    meter.read(10, 15)
    meter.read(30, 45)
    assert (meter.cached_tokens, meter.reached) == (25, 60)
    meter.spare([Spared("live", "group", 5)])
    meter.read(65, 104)
    meter.read(104, 105)
    end = meter.end("stop")
    assert end.spared == (Spared("live", "group", 5), Spared("parked", "user", 10), Spared("pinned", "site", 15))
    assert (end.usage.cached_tokens, meter.reached) == (30, 100)
    meter.read(0, 100)
    assert (meter.cached_tokens, meter.end("stop").spared) == (0, ())
