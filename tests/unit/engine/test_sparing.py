"""Which tier a token is counted for: the widest scope that holds it, and the disk once."""

from __future__ import annotations

from appliance.engine.held import parked
from appliance.engine.job import Owner, Passage
from appliance.engine.prefix_values import Holding, Pins
from appliance.engine.protocol import Spared
from appliance.engine.sparing import spared
from tests.unit.engine.test_prefixes import ANALYST, CLERKS, OFFICER, SITE, TEXT, Shelf

ALL = ((SITE, 20), (CLERKS, 40), (ANALYST, 100))


def counted(shelf: Shelf, *passages: tuple[Owner, int], have: int = 0) -> set[Spared]:
    named = [Passage(owner, length) for owner, length in passages or ALL]
    credit = shelf.cache.credit(TEXT[:-1], named)
    found = spared(shelf.cache, TEXT, named, credit, have=have)
    assert sum(one.tokens for one in found) == max(0, credit.length - have)
    return set(found)


def held(shelf: Shelf, owner: Owner, length: int, *, pinned: bool = False, restored: bool = False) -> Holding:
    holding = shelf.cache.park(owner, TEXT[:length], shelf.computed(TEXT[:length]))
    holding.restored = restored
    if pinned:
        shelf.cache.pin(holding)
    return holding


def test_a_token_counts_for_the_widest_scope_that_holds_it() -> None:
    shelf = Shelf(sequences=12, pins=Pins(60, 2))
    held(shelf, SITE, 20, pinned=True)
    held(shelf, CLERKS, 40, pinned=True)
    held(shelf, ANALYST, 70)
    expected = {Spared("pinned", "site", 20), Spared("pinned", "group", 20), Spared("parked", "user", 30)}
    assert counted(shelf) == expected
    assert counted(shelf, (SITE, 20), (OFFICER, 100)) == {Spared("pinned", "site", 20)}


def test_what_the_pins_have_no_room_for_counts_as_parked() -> None:
    shelf = Shelf()
    held(shelf, SITE, 20, pinned=True)
    assert counted(shelf) == {Spared("parked", "site", 20)}


def test_the_disk_is_counted_for_the_first_use_only() -> None:
    shelf = Shelf(pins=Pins(60, 2))
    held(shelf, CLERKS, 40, pinned=True, restored=True)
    assert counted(shelf, (CLERKS, 15), (OFFICER, 100)) == {Spared("disk", "group", 15)}
    assert counted(shelf, (CLERKS, 40), (OFFICER, 100)) == {Spared("pinned", "group", 15), Spared("disk", "group", 25)}
    assert counted(shelf, (CLERKS, 40), (OFFICER, 100)) == {Spared("pinned", "group", 40)}


def test_what_another_request_is_computing_counts_apart() -> None:
    shelf = Shelf()
    pair = shelf.computed(TEXT[:50])
    passages = [Passage(ANALYST, 100)]
    readings = shelf.cache.announce(TEXT, passages, pair, 0)
    shelf.cache.progress(readings, 50)
    assert counted(shelf, (ANALYST, 100)) == {Spared("live", "user", 50)}


def test_what_was_there_before_is_not_counted_again() -> None:
    shelf = Shelf(pins=Pins(60, 2))
    held(shelf, SITE, 20, pinned=True)
    held(shelf, ANALYST, 70)
    assert counted(shelf, have=10) == {Spared("pinned", "site", 10), Spared("parked", "user", 50)}
    assert counted(shelf, have=70) == set()


def test_cells_that_are_shared_are_shown_once_and_for_the_widest() -> None:
    shelf = Shelf(sequences=12, pins=Pins(60, 2))
    site = held(shelf, SITE, 20, pinned=True)
    for owner in (ANALYST, OFFICER):
        pair = shelf.cache.take()
        assert pair is not None
        shelf.store.share(site.pair, pair, 20)
        tokens = (*TEXT[:20], *(500 + n for n in range(7)))
        shelf.memory.append([(token, at, pair) for at, token in enumerate(tokens) if at >= 20])
        shelf.store.appended(pair, 7)
        shelf.cache.park(owner, tokens, pair)
    rows = {(row.tier, row.scope): (row.count, row.tokens) for row in parked(shelf.cache.holdings, shelf.store)}
    assert rows == {("pinned", "site"): (1, 20), ("parked", "user"): (2, 14)}
    assert shelf.store.live == 34


def test_what_is_pinned_has_the_cells_that_it_shares_with_what_is_parked_for_a_wider_scope() -> None:
    shelf = Shelf(sequences=12, pins=Pins(60, 2))
    site = held(shelf, SITE, 20)
    pair = shelf.cache.take()
    assert pair is not None
    shelf.store.share(site.pair, pair, 20)
    shelf.memory.append([(token, at, pair) for at, token in enumerate(TEXT[:30]) if at >= 20])
    shelf.store.appended(pair, 10)
    shelf.cache.pin(shelf.cache.park(CLERKS, TEXT[:30], pair))
    rows = {(row.tier, row.scope): (row.count, row.tokens) for row in parked(shelf.cache.holdings, shelf.store)}
    assert rows == {("pinned", "group"): (1, 30), ("parked", "site"): (1, 0)}


def test_what_is_there_of_an_answer_counts_for_nothing() -> None:
    """Who was put off in the middle of an answer is credited with words of it too."""
    shelf = Shelf()
    held(shelf, ANALYST, 70)
    passages = [Passage(ANALYST, 100)]
    credit = shelf.cache.credit(TEXT[:-1], passages)
    assert credit.length == 70
    assert spared(shelf.cache, TEXT[:60], passages, credit) == (Spared("parked", "user", 60),)
    assert spared(shelf.cache, TEXT[:60], passages, credit, have=60) == ()
