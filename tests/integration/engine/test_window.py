"""The sliding-window trap on the model itself: every rule of ``cell_store`` shown on logits.

Right is what an empty context gives for the same tokens in the same batches. Each wrong way is walked too, and is off
by much more than rounding: so these tests would see a rule that is missing.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from appliance.engine.cell_store import CellStore, Pair
from appliance.engine.context import Piece
from appliance.engine.errors import GivenUpError
from appliance.engine.llama import LlamaContext
from appliance.engine.pace import PROCESSOR
from tests.engine.drawn import read_whole, rules
from tests.engine.given_up import given_up_within

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.engine.llama_sampler import Logits

ROUNDING, WRONG = 0.05, 1.0
BATCH_TOKENS = PROCESSOR.batch_tokens
LONG, PART = 3 * BATCH_TOKENS, 600  # both beyond the model's window of 512


@pytest.fixture(scope="module")
def context(model_file: Path) -> Iterator[LlamaContext]:
    fd = os.open(model_file, os.O_RDONLY)
    made = LlamaContext(fd, context_tokens=2048, threads=1, budget_mib=900, slots=2)
    yield made
    made.close()
    os.close(fd)


@pytest.fixture
def store(context: LlamaContext) -> CellStore:
    context.clear()
    return CellStore(context, cells=context.cells, sequences=context.sequences)


@pytest.fixture(scope="module")
def text(context: LlamaContext) -> list[int]:
    return rules(context)[: LONG + 60]


@pytest.fixture(scope="module")
def right(context: LlamaContext, text: list[int]) -> Logits:
    context.clear()
    logits = read_whole(context, (0, 1), text)
    context.clear()
    return logits


def _fill(context: LlamaContext, store: CellStore, pair: Pair, tokens: list[int]) -> Pair:
    start = store.length(pair)
    read_whole(context, pair, tokens, start)
    store.appended(pair, len(tokens) - start)
    return pair


def _pair(store: CellStore) -> Pair:
    pair = store.take()
    assert pair is not None
    return pair


def _off(one: Logits, other: Logits) -> float:
    return float(np.abs(one - other).max())


def test_a_shared_beginning_gives_what_computing_it_gives(
    context: LlamaContext, store: CellStore, text: list[int], right: Logits
) -> None:
    source = _fill(context, store, _pair(store), text[:LONG])
    target = _pair(store)
    assert store.credits(source, LONG)
    store.share(source, target, LONG)
    _fill(context, store, source, [*text[:LONG], *text[:200]])
    assert _off(read_whole(context, target, text, LONG), right) < ROUNDING


def test_a_shared_beginning_outlives_its_source_and_a_crowd(
    context: LlamaContext, store: CellStore, text: list[int], right: Logits
) -> None:
    source, target = _fill(context, store, _pair(store), text[:LONG]), _pair(store)
    store.share(source, target, LONG)
    store.give(source)
    for _ in range(2):
        _fill(context, store, _pair(store), text[:520])
    assert store.credits(target, LONG)
    assert _off(read_whole(context, target, text, LONG), right) < ROUNDING


def test_a_part_of_a_long_beginning_can_be_shared_although_the_window_has_passed_it(
    context: LlamaContext, store: CellStore, text: list[int]
) -> None:
    other = [*text[:PART], *text[100:160]]
    alone = _pair(store)
    _fill(context, store, alone, text[:PART])
    expected = read_whole(context, alone, other, PART)
    store.give(alone)
    context.clear()
    store.forget()
    source, target = _fill(context, store, _pair(store), text[:LONG]), _pair(store)
    assert store.credits(source, PART)
    store.share(source, target, PART)
    assert _off(read_whole(context, target, other, PART), expected) < ROUNDING


def test_a_lone_sequence_loses_its_history_without_a_word_and_is_not_credited(
    context: LlamaContext, store: CellStore, text: list[int]
) -> None:
    other = [*text[:PART], *text[100:160]]
    first, lone, crowd, more = _pair(store), _pair(store), _pair(store), _pair(store)
    _fill(context, store, first, text[:PART])
    expected = read_whole(context, first, other, PART)
    read_whole(context, lone[:1], text[:LONG])
    store.give(first)
    read_whole(context, crowd, text)
    read_whole(context, more, text[:140])
    assert context.extent(lone[0])[1] == LONG - 1
    assert not store.credits(lone, PART), "the cells were reclaimed, and llama.cpp does not say so"
    context.cut(lone[0], PART)
    assert _off(read_whole(context, lone[:1], other, PART), expected) > WRONG


def test_a_saved_state_goes_on_exactly_at_its_full_length(
    context: LlamaContext, store: CellStore, text: list[int], right: Logits
) -> None:
    source = _fill(context, store, _pair(store), text[:LONG])
    state = store.save(source)
    store.give(source)
    _fill(context, store, _pair(store), text[:520])
    again = _pair(store)
    assert store.restore(again, state, LONG)
    assert _off(read_whole(context, again, text, LONG), right) < ROUNDING


def test_a_saved_state_is_not_credited_for_a_part_and_would_be_wrong_there(
    context: LlamaContext, store: CellStore, text: list[int]
) -> None:
    other = [*text[:PART], *text[100:160]]
    source = _fill(context, store, _pair(store), text[:LONG])
    state = store.save(source)
    store.cut(source, PART)
    expected = read_whole(context, source, other, PART)
    store.give(source)
    again, wrong = _pair(store), _pair(store)
    assert store.restore(again, state, LONG)
    assert store.credits(again, LONG)
    assert not store.credits(again, PART)
    for sequence in wrong:
        context.share(again[0], sequence, PART)
    assert _off(read_whole(context, wrong, other, PART), expected) > WRONG


def test_a_batch_that_was_given_up_half_way_leaves_what_was_there_and_is_computed_anew(
    context: LlamaContext, store: CellStore, text: list[int]
) -> None:
    done = LONG - BATCH_TOKENS
    last = Piece(tuple(text[done:LONG]), done, (), sampled=True)

    def read(*given_up: float) -> list[Logits]:
        """What two pairs with one beginning come to, when the first's last batch was given up after so many seconds."""
        context.clear()
        store.forget()
        pair, beside = _fill(context, store, _pair(store), text[:done]), _pair(store)
        store.share(pair, beside, done)
        for seconds in given_up:
            with pytest.raises(GivenUpError):
                given_up_within(context, seconds, context.decode, [replace(last, sequences=pair)])
            assert {context.extent(one) for one in pair} == {(0, LONG - 1), (0, done - 1)}, "one owner is not mended"
            assert store.resync(pair, done)
            assert {context.extent(one) for one in (*pair, *beside)} == {(0, done - 1)}
        found = [read_whole(context, one, text, done) for one in (pair, beside)]
        store.give(pair)
        store.give(beside)
        return found

    for plain, again in zip(read(), read(0.0, 0.03, 0.1), strict=True):
        assert _off(plain, again) < ROUNDING
