from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.cell_store import CellStore
from appliance.engine.cells import CellLedger
from tests.engine.windowed_memory import WindowedMemory

WINDOW = 8
WORK = st.tuples(st.sampled_from(["append", "share", "cut"]), st.integers(0, 3), st.integers(0, 12))


def _store(window: int = WINDOW) -> tuple[CellStore, WindowedMemory]:
    memory = WindowedMemory(64, window)
    return CellStore(memory, cells=64, sequences=8), memory


def _append(store: CellStore, memory: WindowedMemory, pair: tuple[int, int], count: int) -> None:
    start = store.length(pair)
    for n in range(start, start + count):
        assert memory.append([(n, n, pair)])
    store.appended(pair, count)


def _taken(store: CellStore) -> tuple[int, int]:
    pair = store.take()
    assert pair is not None
    return pair


@given(st.lists(WORK, max_size=60))
def test_the_books_say_what_the_memory_holds(work: list[tuple[str, int, int]]) -> None:
    store, memory = _store()
    pairs = [_taken(store) for _ in range(4)]
    for what, index, count in work:
        pair, other = pairs[index], pairs[(index + 1) % 4]
        if what == "append" and store.free >= count:
            _append(store, memory, pair, count)
        elif what == "share":
            store.cut(other, 0)
            store.share(pair, other, min(count, store.length(pair)))
        elif what == "cut":
            store.cut(pair, count)
        assert store.live == memory.whole.used == memory.sliding.used
        assert [store.length(p) for p in pairs] == [len(memory.whole.of[p[0]]) for p in pairs]


def test_sharing_takes_no_cell_and_letting_go_frees_what_nobody_else_owns() -> None:
    ledger = CellLedger()
    ledger.append((0, 1), 10)
    ledger.share(0, 2, 6)
    assert ledger.live == 10
    ledger.cut(0, 0)
    ledger.cut(1, 0)
    assert ledger.live == 6


@pytest.mark.parametrize("length", [1, WINDOW, WINDOW + 1, 20])
def test_every_beginning_of_a_pair_counts_however_long_it_has_grown(length: int) -> None:
    store, memory = _store()
    pair = _taken(store)
    _append(store, memory, pair, 40)
    assert store.credits(pair, length)


def test_a_beginning_that_a_lone_sequence_lost_to_its_window_does_not_count() -> None:
    store, memory = _store()
    gone, lone, other = _taken(store), _taken(store), _taken(store)
    _append(store, memory, gone, 4)
    for n in range(20):
        memory.append([(n, n, lone[:1])])
    assert store.credits(lone, 10)
    store.give(gone)
    for n in range(14):
        memory.append([(n, n, other)])
    assert not store.credits(lone, 10)
    assert store.credits(other, 10)


def test_what_was_shared_is_not_reclaimed_when_its_source_goes_on() -> None:
    store, memory = _store()
    source, kept = _taken(store), _taken(store)
    _append(store, memory, source, 10)
    store.share(source, kept, 10)
    store.give(source)
    _append(store, memory, _taken(store), 54)
    assert store.credits(kept, 10)
    assert memory.sliding.visible(kept[0], 9) == tuple(range(2, 10))


def test_a_saved_state_counts_at_its_full_length_and_at_no_other() -> None:
    store, memory = _store()
    pair, again = _taken(store), _taken(store)
    _append(store, memory, pair, 30)
    state = store.save(pair)
    store.give(pair)
    assert store.restore(again, state, 30)
    assert store.credits(again, 30)
    assert not any(store.credits(again, n) for n in range(1, 22))


@pytest.mark.parametrize("claimed", [1, 29, 31, 60])
def test_a_saved_state_of_another_length_than_claimed_is_not_taken(claimed: int) -> None:
    store, memory = _store()
    pair, again = _taken(store), _taken(store)
    _append(store, memory, pair, 30)
    state = store.save(pair)
    store.give(pair)
    assert not store.restore(again, state, claimed)
    assert (store.live, memory.whole.used, memory.sliding.used) == (0, 0, 0)


def test_without_a_window_only_what_reaches_back_to_the_first_token_counts() -> None:
    store, memory = _store(window=0)
    pair = _taken(store)
    _append(store, memory, pair, 10)
    assert [store.credits(pair, n) for n in (1, 10, 11)] == [True, True, False]


def test_after_a_failed_decode_a_pair_is_as_long_as_it_was_or_empty() -> None:
    store, memory = _store()
    pair = _taken(store)
    _append(store, memory, pair, 10)
    memory.append([(1, 10, pair)])
    assert store.resync(pair, 10)
    assert memory.extent(pair[0]) == memory.extent(pair[1]) == (0, 9)
    memory.cut(pair[1], 4)
    assert not store.resync(pair, 10)
    assert (store.live, memory.whole.used) == (0, 0)


def test_sequences_are_handed_out_once() -> None:
    store, _ = _store()
    pairs = [_taken(store) for _ in range(4)]
    assert len({sequence for pair in pairs for sequence in pair}) == 8
    assert store.take() is None
    store.give(pairs[0])
    assert store.take() == pairs[0]
