"""A document's text cut into passages: by headings, then paragraphs, then sentences, never longer than a bound.

Passages cover the text from its first character to its last, in order. They overlap only where a sentence that is
longer than a passage may be had to be cut. Pure; how many tokens a text has is asked of the caller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from appliance.memory.sentences import sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from appliance.memory.parsing.blocks import Span, Text

    Count = Callable[[str], int]

MAX_TITLE = 200
"""Characters of a heading that are told with its passages."""
SHARE, START = 4, 2000
"""Headings told with passages have at most ``START`` characters, and ``SHARE`` more for each of the text."""
OVERLAP = 8
"""A cut sentence is told again from the last eighth of the piece before."""
_WORD = re.compile(r"\S+\s*")
_TOKENS = re.compile(r"\w+|[^\w\s]")
_LETTERS_A_TOKEN = 4


@dataclass(frozen=True)
class Chunk:
    """A passage: ``[start, end)`` in characters of the text, under which headings, on which page it begins."""

    start: int
    end: int
    headings: tuple[str, ...]
    page: int | None


@dataclass(frozen=True)
class _Piece:
    start: int
    end: int
    span: Span
    tokens: int


def estimated_tokens(text: str) -> int:
    """How many tokens a model for any language makes of ``text``, rather too many: the model has the last word."""
    return sum(1 + (len(word) - 1) // _LETTERS_A_TOKEN for word in _TOKENS.findall(text))


def chunks(text: Text, bound: int, count: Count = estimated_tokens) -> tuple[Chunk, ...]:
    """Passages of at most ``bound`` tokens, as ``count`` has them; it finds at most a token in each character.

    Of headings, the innermost are told first where a document has too many for its text.
    """
    found: list[Chunk] = []
    held: list[_Piece] = []
    path: list[tuple[int, str]] = []
    for piece in _pieces(text, bound, count):
        heading = piece.span.kind == "heading"
        begins = heading and any(one.span.kind != "heading" for one in held)
        cut = bool(held) and held[-1].end > piece.start
        if held and (begins or cut or sum(one.tokens for one in held) + piece.tokens > bound):
            found.append(_chunk(held, path))
            held = []
        if heading and piece.start == piece.span.start:
            path = [
                *(step for step in path if step[0] < piece.span.level),
                (piece.span.level, _title(text, piece.span)),
            ]
        held.append(piece)
    if held:
        found.append(_chunk(held, path))
    return tuple(_within(found))


def halves(text: str, chunk: Chunk) -> tuple[Chunk, Chunk] | None:
    """``chunk`` cut in two where a sentence or a word ends nearest its middle; else in the middle. None: one letter."""
    inside = text[chunk.start : chunk.end]
    middle = len(inside) // 2
    ends = [end for _, end in sentences(inside)][:-1] or [word.end() for word in _WORD.finditer(inside)][:-1]
    ends = [end for end in ends if 0 < end < len(inside)] or [middle]
    if not middle:
        return None
    at = chunk.start + min(ends, key=lambda end: abs(end - middle))
    return (
        Chunk(chunk.start, at, chunk.headings, chunk.page),
        Chunk(at, chunk.end, chunk.headings, chunk.page),
    )


def _chunk(held: Sequence[_Piece], path: Sequence[tuple[int, str]]) -> Chunk:
    return Chunk(held[0].start, held[-1].end, tuple(title for _, title in path), held[0].span.page)


def _title(text: Text, span: Span) -> str:
    return " ".join(text.text[span.start : min(span.end, span.start + 2 * MAX_TITLE)].split())[:MAX_TITLE]


def _within(found: Sequence[Chunk]) -> Iterator[Chunk]:
    left = START
    told = 0
    for chunk in found:
        left += SHARE * max(chunk.end - max(chunk.start, told), 0)
        told = chunk.end
        kept = 0
        for title in reversed(chunk.headings):
            if len(title) > left:
                break
            left -= len(title)
            kept += 1
        yield replace(chunk, headings=chunk.headings[len(chunk.headings) - kept :])


def _pieces(text: Text, bound: int, count: Count) -> Iterator[_Piece]:
    """Blocks that fit, sentences of those that do not, words of sentences that do not; each reaches to the next."""
    if not text.spans:
        return
    ends = [following.start for _, following in pairwise(text.spans)] + [len(text.text)]
    for span, end in zip(text.spans, ends, strict=True):
        tokens = count(text.text[span.start : end])
        if tokens <= bound:
            yield _Piece(span.start, end, span, tokens)
            continue
        for first, last in sentences(text.text[span.start : end]):
            yield from _of_sentence(text.text, span, (span.start + first, span.start + last), bound, count)


def _parts(text: str, start: int, end: int, bound: int, count: Count) -> Iterator[tuple[int, int]]:
    """A word, or pieces of one that is longer than a passage may be."""
    if count(text[start:end]) <= bound:
        yield start, end
        return
    for first in range(start, end, bound):
        yield first, min(first + bound, end)


def _of_sentence(text: str, span: Span, place: tuple[int, int], bound: int, count: Count) -> Iterator[_Piece]:
    start, end = place
    tokens = count(text[start:end])
    if tokens <= bound:
        yield _Piece(start, end, span, tokens)
        return
    words = [part for word in _WORD.finditer(text, start, end) for part in _parts(text, *word.span(), bound, count)]
    costs = [count(text[first:last]) for first, last in words]
    at = 0
    while at < len(words):
        upto, total = at + 1, costs[at]
        while upto < len(words) and total + costs[upto] <= bound:
            total += costs[upto]
            upto += 1
        yield _Piece(start if at == 0 else words[at][0], words[upto - 1][1] if upto < len(words) else end, span, total)
        at = max(upto - (upto - at) // OVERLAP, at + 1) if upto < len(words) else upto
