"""However a document is cut: nothing is lost, nothing is longer than the model reads, each passage cites its place."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from appliance.memory.chunking import MAX_TITLE, SHARE, START, Chunk, chunks, estimated_tokens, halves
from appliance.memory.parsing.blocks import Block, Text, joined
from appliance.memory.sentences import sentences

_WORDS = st.text(alphabet="abcdefgäöéß.,!? 12AZ", min_size=1, max_size=200)
_BLOCKS = st.lists(
    st.builds(
        Block,
        kind=st.sampled_from(["heading", "paragraph", "item", "row", "code"]),
        text=_WORDS,
        level=st.integers(0, 6),
        page=st.none() | st.integers(1, 9),
    ),
    max_size=12,
)


@given(_BLOCKS, st.integers(4, 80))
def test_passages_cover_the_text_in_order_and_overlap_only_inside_a_sentence(blocks: list[Block], bound: int) -> None:
    text = joined(blocks)
    found = chunks(text, bound)
    assert _together(text, found) == text.text
    for before, after in pairwise(found):
        assert before.start < after.start <= before.end < after.end
        if after.start < before.end:  # told again: within one sentence that is longer than a passage may be
            inside = [(s, e) for span in text.spans for s, e in _sentences(text, span.start, len(text.text))]
            assert any(
                s <= after.start and before.end <= e and estimated_tokens(text.text[s:e]) > bound for s, e in inside
            )


def _together(text: Text, found: tuple[Chunk, ...]) -> str:
    said = ""
    for chunk in found:
        said += text.text[max(chunk.start, len(said)) : chunk.end]
    return said


def _sentences(text: Text, start: int, end: int) -> list[tuple[int, int]]:
    following = [span.start for span in text.spans if span.start > start]
    stop = min([*following, end])
    return [(start + s, start + e) for s, e in sentences(text.text[start:stop])]


@given(_BLOCKS, st.integers(4, 80))
def test_no_passage_is_longer_than_the_bound(blocks: list[Block], bound: int) -> None:
    text = joined(blocks)
    for chunk in chunks(text, bound):
        said = text.text[chunk.start : chunk.end]
        assert estimated_tokens(said) <= bound


@given(_BLOCKS, st.integers(40, 80))
def test_a_passage_names_the_last_heading_above_it(blocks: list[Block], bound: int) -> None:
    text = joined(blocks)
    for chunk in chunks(text, bound):
        above = [span for span in text.spans if span.kind == "heading" and span.start < chunk.end]
        last = " ".join(text.text[above[-1].start : above[-1].end].split()) if above else None
        assert (chunk.headings[-1] if chunk.headings else None) == last


_TITLES = st.lists(
    st.builds(
        Block,
        kind=st.sampled_from(["heading", "heading", "paragraph"]),
        text=st.sampled_from(["x", "y. z", "word " * 30, "long heading " * 400]),
        level=st.integers(0, 9),
    ),
    max_size=300,
)


@given(_TITLES, st.integers(4, 80))
def test_headings_that_are_told_with_passages_are_no_more_than_a_multiple_of_the_text(
    blocks: list[Block], bound: int
) -> None:
    text = joined(blocks)
    found = chunks(text, bound)
    assert sum(len(title) for chunk in found for title in chunk.headings) <= START + SHARE * len(text.text)
    assert all(len(title) <= MAX_TITLE for chunk in found for title in chunk.headings)
    assert _together(text, found) == text.text


@given(_WORDS)
def test_sentences_cover_a_text(text: str) -> None:
    spans = list(sentences(text))
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(start < end for start, end in spans)


@given(_WORDS)
def test_halves_are_the_whole(text: str) -> None:
    whole = Chunk(0, len(text), ("a",), 1)
    cut = halves(text, whole)
    if cut is not None:
        assert (cut[0].start, cut[0].end, cut[1].end) == (0, cut[1].start, len(text))
        assert 0 < cut[0].end < len(text)
    else:
        assert len(text) <= 1
