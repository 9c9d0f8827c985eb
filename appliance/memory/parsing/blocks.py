"""What a parser makes of a document: blocks of text in reading order, and the one text that they are together. Pure.

What a reader does not see is taken out here, by the parent (``judged``): hidden words reach models, not people.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["heading", "paragraph", "item", "row", "code"]
MAX_OUTPUT_BYTES = 32 << 20
"""Of one document's text with its structure, as JSON."""
MAX_LEVEL = 9
MAX_PAGES = 20_000
_LINE_KINDS = frozenset({"item", "row"})
_KEPT_CONTROLS = frozenset("\n\t")
# Characters that steer how the rest is shown, or that are not shown at all: Default_Ignorable_Code_Point (Unicode 15.1,
# DerivedCoreProperties.txt) without the joiners that some scripts are written with, and marks between annotations.
_UNSEEN_RANGES = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
    *((0x200B, 0x200B), (0x200E, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F)),
    *((0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A)),
    (0xE0000, 0xE0FFF),
)
_UNSEEN = frozenset(chr(code) for first, last in _UNSEEN_RANGES for code in range(first, last + 1))
_MAX_MARKS = 30
"""Marks on one letter: what UAX 15 calls stream-safe. Putting a longer run in order costs the square of its length."""


@dataclass(frozen=True)
class Block:
    """A heading, a paragraph, an item, a table's row or code. ``level``: a heading's, 1 is the highest; else 0."""

    kind: Kind
    text: str
    level: int = 0
    page: int | None = None


@dataclass(frozen=True)
class Parsed:
    """A document as its parser saw it. ``language`` is what the document says of itself, a BCP 47 tag."""

    title: str | None = None
    language: str | None = None
    pages: int | None = None
    blocks: Sequence[Block] = field(default=())


@dataclass(frozen=True)
class Span:
    """Where a block lies in the text of its document: ``[start, end)`` in characters."""

    start: int
    end: int
    kind: Kind
    level: int
    page: int | None


@dataclass(frozen=True)
class Text:
    """The parsed version of a document: one text, and the blocks in it, in order, without overlap."""

    text: str
    spans: tuple[Span, ...]


def joined(blocks: Sequence[Block]) -> Text:
    """One text of all blocks, cleaned. Items and rows stand on lines of their own, others behind an empty line."""
    parts: list[str] = []
    spans: list[Span] = []
    at = 0
    before: Kind | None = None
    for block in blocks:
        text = cleaned(block.text, keep_lines=block.kind == "code")
        if not text:
            continue
        if before is not None:
            gap = "\n" if block.kind in _LINE_KINDS and before == block.kind else "\n\n"
            parts.append(gap)
            at += len(gap)
        parts.append(text)
        spans.append(Span(at, at + len(text), block.kind, block.level, block.page))
        at += len(text)
        before = block.kind
    return Text("".join(parts), tuple(spans))


def cleaned(text: str, *, keep_lines: bool = False) -> str:
    """``text`` in NFC without controls and what is never shown; runs of blanks are one, unless lines are kept."""
    seen = _few_marks("".join(c for c in text if not _hidden(c)))
    if keep_lines:
        lines = (line.rstrip() for line in unicodedata.normalize("NFC", seen).split("\n"))
        return "\n".join(lines).strip("\n").replace("\t", "    ")
    return " ".join(unicodedata.normalize("NFC", seen).split())


def _few_marks(text: str) -> str:
    if text.isascii():
        return text
    kept: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def _hidden(character: str) -> bool:
    if character in _KEPT_CONTROLS:
        return False
    return character in _UNSEEN or unicodedata.category(character) in {"Cc", "Cs"}
