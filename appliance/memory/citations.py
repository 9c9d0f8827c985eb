"""Which passages an answer's claims rest on. Pure: the same answer and passages give the same citations.

Markers come first: a claim that names passages is held against those. Where none of them carries it, or it names none,
it is held against all. A marker that names no passage is told as ``unknown``, one whose passage does not carry the
claim as ``doubtful``: neither is a source. Passages that are there no more (None) carry nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from appliance.memory.claims import claims
from appliance.memory.support import Evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.memory.claims import Claim
    from appliance.memory.documents import Found

How = Literal["quoted", "worded", "unsupported"]
Numbered = list[tuple[int, "Found", Evidence]]


@dataclass(frozen=True)
class Citation:
    """Passage number ``passage`` (from 1) carries a claim: ``[first, last)`` in characters of the document's text.

    ``marked``: the answer named it; else it was found by its words.
    """

    passage: int
    how: Literal["quoted", "worded"]
    first: int
    last: int
    marked: bool


@dataclass(frozen=True)
class Cited:
    """A claim, ``[first, last)`` in characters of the answer, with what it rests on; nothing: it is unsupported."""

    first: int
    last: int
    citations: tuple[Citation, ...]
    doubtful: tuple[int, ...]
    unknown: tuple[int, ...]

    @property
    def support(self) -> How:
        """The best of its citations."""
        found = {one.how for one in self.citations}
        return "quoted" if "quoted" in found else "worded" if found else "unsupported"

    def told(self) -> dict[str, Any]:
        """As receipts tell it."""
        return {
            "first": self.first,
            "last": self.last,
            "support": self.support,
            "citations": [vars(one) for one in self.citations],
            "doubtful": list(self.doubtful),
            "unknown": list(self.unknown),
        }


def cited(answer: str, passages: Sequence[Found | None]) -> tuple[Cited, ...]:
    """Every claim of ``answer`` with what of ``passages`` it rests on, in order."""
    there = [(n, one, evidence(one)) for n, one in enumerate(passages, start=1) if one is not None]
    return tuple(_of(answer[claim.first : claim.last], claim, there, len(passages)) for claim in claims(answer))


def evidence(passage: Found) -> Evidence:
    """The passage as claims are held against it."""
    return Evidence(passage.body, " ".join((passage.title, *passage.headings)))


def _of(said: str, claim: Claim, there: Numbered, count: int) -> Cited:
    unknown = tuple(number for number in claim.marked if not 1 <= number <= count)
    named = [one for one in there if one[0] in claim.marked]
    found = _carrying(said, named, marked=True)
    carried = {citation.passage for citation in found}
    doubtful = tuple(n for n in claim.marked if n not in unknown and n not in carried)
    if not found:
        found = _carrying(said, [one for one in there if one[0] not in claim.marked], marked=False)[:1]
    return Cited(claim.first, claim.last, tuple(found), doubtful, unknown)


def _carrying(said: str, there: Numbered, *, marked: bool) -> list[Citation]:
    """Passages that carry what was ``said``; those that hold it verbatim first."""
    found = [
        Citation(number, support.how, passage.first + support.first, passage.first + support.last, marked)
        for number, passage, held in there
        if (support := held.support(said)) is not None
    ]
    return sorted(found, key=lambda one: (one.how != "quoted", one.passage))
