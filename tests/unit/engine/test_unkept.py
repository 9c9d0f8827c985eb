"""A request that is not to be kept leaves nothing of its user's words in the context; shared beginnings stay."""

from __future__ import annotations

import pytest

from appliance.engine.errors import NoRoomError
from tests.engine.batches import Desk
from tests.engine.quoting_context import QuotingContext

SITE = tuple(b"house rules: ")
SECRET = (*SITE, *b"> the passage of a document. And the question?")


def _desk(cells: int = 512, slots: int = 4) -> Desk:
    return Desk(QuotingContext(cells=cells), slots=slots)


def test_nothing_of_it_is_credited_to_the_same_user_who_asks_the_same_again() -> None:
    desk = _desk()
    first = desk.ask(SECRET, site=len(SITE), kept=False)
    desk.run(first)
    again = desk.ask(SECRET, site=len(SITE), kept=False)
    desk.run(again)
    assert again.cached == len(SITE)
    assert again.text == first.text


def test_the_cells_that_are_left_are_the_sites_own() -> None:
    desk = _desk()
    desk.run(desk.ask(SECRET, site=len(SITE), kept=False))
    assert desk.batcher._cache.parked == 1
    kept = _desk()
    kept.run(kept.ask(SECRET, site=len(SITE)))
    assert kept.batcher._cache.parked == 2


def test_it_begins_with_what_the_user_left_before_and_takes_that_from_nobody() -> None:
    desk = _desk()
    desk.run(desk.ask(SECRET[:20]))
    unkept = desk.ask(SECRET, kept=False)
    desk.run(unkept)
    assert unkept.cached >= 20
    later = desk.ask(SECRET[:20], most=1)
    desk.run(later)
    assert later.cached == 19


@pytest.mark.parametrize(("slots", "failures"), [(4, 0), (8, 1)], ids=["its place is needed", "its cells are"])
def test_put_off_for_others_it_leaves_nothing_at_that_moment_either(slots: int, failures: int) -> None:
    context = QuotingContext(cells=512)
    desk = Desk(context, slots=slots)
    mine = [desk.ask((*SECRET, n), user="analyst", most=20, kept=False) for n in range(4)]
    while not all(one.text for one in mine):
        desk.batcher.step()
    others = [desk.ask(tuple(b"somebody else asks %d" % n), user=f"u{n}", most=20, kept=False) for n in range(3)]
    context.failures = [NoRoomError("llama_decode found no room")] * failures
    parked = 0
    while not all(one.over for one in (*mine, *others)):
        desk.batcher.step()
        parked = max(parked, desk.batcher._cache.parked)
    assert desk.batcher._reception.put_offs > 0
    assert parked == 0
    after = desk.ask((*SECRET, 0), most=1, kept=False)
    desk.run(after)
    assert after.cached == 0
    assert {one.end.finish_reason for one in (*mine, *others)} <= {"length", "stop"}
