"""Texts of many requests share a batch, one after the other, and none is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.embedding.packing import packed

LENGTHS = st.lists(st.lists(st.integers(1, 64), max_size=12), max_size=6)


@given(LENGTHS, st.integers(64, 256), st.integers(1, 16))
def test_a_batch_holds_whole_texts_and_never_too_many(lines: list[list[int]], tokens: int, texts: int) -> None:
    counts = packed(lines, tokens=tokens, texts=texts)
    taken = [line[:count] for line, count in zip(lines, counts, strict=True)]
    assert sum(map(len, taken)) <= texts
    assert sum(map(sum, taken)) <= tokens
    assert any(counts) == any(lines)


@given(LENGTHS, st.integers(64, 256), st.integers(1, 16))
def test_everything_is_taken_in_the_end(lines: list[list[int]], tokens: int, texts: int) -> None:
    left = [list(line) for line in lines]
    for _ in range(sum(map(len, lines))):
        counts = packed(left, tokens=tokens, texts=texts)
        left = [line[count:] for line, count in zip(left, counts, strict=True)]
    assert not any(left)


def test_one_text_does_not_wait_for_a_thousand() -> None:
    assert packed([[10] * 1000, [10]], tokens=64, texts=8) == [5, 1]


def test_turns_go_round() -> None:
    assert packed([[1] * 9, [1] * 9, [1] * 2], tokens=64, texts=8) == [3, 3, 2]


def test_a_text_that_does_not_fit_lets_shorter_ones_by_and_begins_a_batch_when_its_request_does() -> None:
    assert packed([[40, 40], [10]], tokens=64, texts=8) == [1, 1]
    assert packed([[10], [60]], tokens=64, texts=8) == [1, 0]
    assert packed([[60], [10]], tokens=64, texts=8) == [1, 0]
