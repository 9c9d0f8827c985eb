from __future__ import annotations

import pytest

from appliance.engine.cell_store import CellStore, Pair
from appliance.engine.job import BATCH, INTERACTIVE, Owner, Passage
from appliance.engine.prefix_values import WORTH_WAITING, Credit, Holding, Pins
from appliance.engine.prefixes import PrefixCache
from tests.engine.windowed_memory import WindowedMemory

SITE, CLERKS, ANALYST, OFFICER = Owner("site", ""), Owner("group", "clerks"), Owner("user", "a"), Owner("user", "o")
TEXT = tuple(range(100))


class Shelf:
    """A cache over cells that are really there."""

    def __init__(self, sequences: int = 8, pins: Pins | None = None) -> None:
        self.memory = WindowedMemory(512, 16)
        self.store = CellStore(self.memory, cells=512, sequences=sequences)
        self.cache = PrefixCache(self.store, pins or Pins())

    def computed(self, tokens: tuple[int, ...]) -> Pair:
        pair = self.cache.take()
        assert pair is not None
        self.memory.append([(token, at, pair) for at, token in enumerate(tokens)])
        self.store.appended(pair, len(tokens))
        return pair

    def park(self, owner: Owner, tokens: tuple[int, ...]) -> None:
        self.cache.park(owner, tokens, self.computed(tokens))

    def credit(self, *passages: tuple[Owner, int], tokens: tuple[int, ...] = TEXT) -> Credit:
        return self.cache.credit(tokens, [Passage(owner, length) for owner, length in passages])


def test_the_longest_beginning_of_any_passage_is_credited() -> None:
    shelf = Shelf()
    shelf.park(SITE, TEXT[:20])
    shelf.park(ANALYST, TEXT[:35])
    assert shelf.credit((SITE, 30), (ANALYST, 100)).length == 35
    assert shelf.credit((SITE, 30), (OFFICER, 100)).length == 20
    assert shelf.credit((SITE, 12), (OFFICER, 100)).length == 12
    assert shelf.credit((CLERKS, 30), (OFFICER, 100)) == Credit()


def test_what_was_used_longest_ago_goes_first_and_users_before_everybody() -> None:
    shelf = Shelf()
    shelf.park(SITE, TEXT[:20])
    shelf.park(ANALYST, (1, *TEXT[:20]))
    shelf.park(OFFICER, (2, *TEXT[:20]))
    shelf.credit((ANALYST, 100), tokens=(1, *TEXT))
    assert shelf.cache.evict()
    assert shelf.credit((OFFICER, 100), tokens=(2, *TEXT)) == Credit()
    assert shelf.cache.evict()
    assert shelf.credit((SITE, 100)).length == 20
    assert shelf.cache.evict()
    assert not shelf.cache.evict()
    assert shelf.store.live == shelf.memory.whole.used == 0


def test_what_is_about_to_be_used_is_kept() -> None:
    shelf = Shelf()
    shelf.park(ANALYST, TEXT[:20])
    source = shelf.credit((ANALYST, 100)).source
    assert isinstance(source, Holding)
    assert not shelf.cache.evict(source)


def test_a_longer_conversation_takes_the_place_of_its_beginning() -> None:
    shelf = Shelf()
    shelf.park(ANALYST, TEXT[:20])
    shelf.park(ANALYST, TEXT[:40])
    assert shelf.cache.parked == 1
    assert shelf.store.live == 40


def test_a_beginning_of_a_restored_conversation_is_kept_beside_it_since_that_lacks_it() -> None:
    shelf = Shelf()
    shelf.park(ANALYST, TEXT[:20])
    whole = shelf.computed(TEXT[:60])
    state = shelf.store.save(whole)
    shelf.store.cut(whole, 0)
    assert shelf.store.restore(whole, state, 60)
    shelf.cache.park(ANALYST, TEXT[:60], whole)
    assert shelf.cache.parked == 2
    assert shelf.credit((ANALYST, 25)).length == 20
    assert shelf.credit((ANALYST, 100)).length == 60


def test_pairs_are_found_by_evicting() -> None:
    shelf = Shelf(sequences=4)
    for n in range(5):
        shelf.park(ANALYST, (n, *TEXT[:9]))
    assert shelf.cache.parked == 2


@pytest.mark.parametrize(("rank", "waits"), [(INTERACTIVE, True), (BATCH, False)])
def test_whoever_needs_what_is_being_read_waits_unless_it_is_less_urgent(rank: int, *, waits: bool) -> None:
    shelf = Shelf()
    pair = shelf.computed(TEXT[:10])
    readings = shelf.cache.announce(TEXT, [Passage(SITE, 60), Passage(ANALYST, 100)], pair, rank)
    shelf.cache.progress(readings, 10)
    flight = shelf.cache.flight(TEXT, [Passage(SITE, 60), Passage(OFFICER, 100)], have=10, rank=INTERACTIVE)
    assert (flight is not None) == waits
    if flight is not None:
        assert (flight.length, flight.landed) == (60, False)
        shelf.cache.progress(readings, 60)
        assert flight.landed


def test_a_small_gain_is_not_waited_for() -> None:
    shelf = Shelf()
    shelf.cache.announce(TEXT, [Passage(SITE, 60)], shelf.computed(TEXT[:1]), INTERACTIVE)
    passages = [Passage(SITE, 60)]
    assert shelf.cache.flight(TEXT, passages, have=60 - WORTH_WAITING, rank=INTERACTIVE)
    assert not shelf.cache.flight(TEXT, passages, have=61 - WORTH_WAITING, rank=INTERACTIVE)


def test_a_shared_passage_is_kept_apart_once_and_outlives_its_reader() -> None:
    shelf = Shelf()
    pair = shelf.computed(TEXT)
    readings = shelf.cache.announce(TEXT, [Passage(SITE, 60), Passage(ANALYST, 100)], pair, INTERACTIVE)
    shelf.cache.progress(readings, 100)
    shelf.cache.progress(readings, 100)
    shelf.cache.withdraw(readings)
    shelf.store.give(pair)
    assert shelf.cache.parked == 1
    assert shelf.store.live == 60
    assert shelf.credit((SITE, 60), (OFFICER, 100)).length == 60


def test_waiting_ends_when_the_reader_leaves_and_what_it_read_stays() -> None:
    shelf = Shelf()
    pair = shelf.computed(TEXT[:40])
    readings = shelf.cache.announce(TEXT, [Passage(SITE, 60)], pair, INTERACTIVE)
    shelf.cache.progress(readings, 40)
    flight = shelf.cache.flight(TEXT, [Passage(SITE, 60)], have=0, rank=INTERACTIVE)
    shelf.cache.withdraw(readings)
    shelf.store.give(pair)
    assert flight is not None
    assert flight.landed
    assert shelf.credit((SITE, 60)).length == 40


def _read(shelf: Shelf, owner: Owner, tokens: tuple[int, ...]) -> None:
    """A request of ``owner``'s computes the whole passage ``tokens`` and is over."""
    pair = shelf.computed(tokens)
    readings = shelf.cache.announce(tokens, [Passage(owner, len(tokens))], pair, INTERACTIVE)
    shelf.cache.progress(readings, len(tokens))
    shelf.cache.withdraw(readings)
    shelf.store.give(pair)


def test_what_a_site_or_a_group_wrote_stays_whatever_else_makes_way() -> None:
    shelf = Shelf(sequences=16, pins=Pins(cells=200, holdings=4))
    _read(shelf, SITE, TEXT[:40])
    _read(shelf, CLERKS, TEXT[:60])
    shelf.park(ANALYST, (1, *TEXT))
    while shelf.cache.evict():
        pass
    assert shelf.cache.pinned == (2, 100)
    assert shelf.credit((SITE, 40), (CLERKS, 60), (OFFICER, 100)).length == 60
    assert shelf.credit((ANALYST, 100), tokens=(1, *TEXT)) == Credit()


def test_new_instructions_take_the_place_of_the_former_ones() -> None:
    shelf = Shelf(sequences=16, pins=Pins(cells=60, holdings=1))
    _read(shelf, CLERKS, TEXT[:50])
    _read(shelf, CLERKS, (7, *TEXT[:50]))
    assert shelf.cache.pinned == (1, 51)
    while shelf.cache.evict():
        pass
    assert shelf.credit((CLERKS, 100), tokens=(7, *TEXT)).length == 51
    assert shelf.credit((CLERKS, 100)) == Credit()


@pytest.mark.parametrize("pins", [Pins(cells=89, holdings=9), Pins(cells=900, holdings=1)], ids=["cells", "holdings"])
def test_pins_are_bounded_and_what_goes_beyond_makes_way_as_before(pins: Pins) -> None:
    shelf = Shelf(sequences=16, pins=pins)
    _read(shelf, SITE, TEXT[:40])
    _read(shelf, CLERKS, TEXT[:50])
    assert shelf.cache.pinned == (1, 40)
    assert shelf.cache.evict()
    assert not shelf.cache.evict()


def test_a_passage_that_was_left_half_way_is_not_pinned_and_a_users_never() -> None:
    shelf = Shelf(sequences=16, pins=Pins(cells=400, holdings=9))
    pair = shelf.computed(TEXT[:50])
    readings = shelf.cache.announce(TEXT, [Passage(CLERKS, 90)], pair, INTERACTIVE)
    shelf.cache.progress(readings, 50)
    shelf.cache.withdraw(readings)
    _read(shelf, ANALYST, (3, *TEXT))
    assert (shelf.cache.pinned, shelf.cache.parked) == ((0, 0), 1)
