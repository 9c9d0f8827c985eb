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
_LINE_KINDS = frozenset({"item", "row"})
_KEPT_CONTROLS = frozenset("\n\t")
# Characters that steer how the rest is shown, or that are not shown at all.
_UNSEEN = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200B, 0x2060, 0xFEFF, 0xAD)))
_TAGS = range(0xE0000, 0xE0080)


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
    seen = "".join(c for c in text if not _hidden(c))
    if keep_lines:
        lines = (line.rstrip() for line in unicodedata.normalize("NFC", seen).split("\n"))
        return "\n".join(lines).strip("\n").replace("\t", "    ")
    return " ".join(unicodedata.normalize("NFC", seen).split())


def _hidden(character: str) -> bool:
    if character in _KEPT_CONTROLS:
        return False
    return character in _UNSEEN or ord(character) in _TAGS or unicodedata.category(character) in {"Cc", "Cs"}
