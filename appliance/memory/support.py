"""What in a passage a claim rests on: its own words, verbatim, or wording that says the same. Pure.

A claim is ``quoted`` where all of it stands in the passage, blanks aside. It is ``worded`` where one or two sentences
of the passage, with the headings above them, hold ``THRESHOLD`` of its content words, all of its figures beside some
of those words, deny where it denies, and where the passage holds verbatim whatever it puts between quotation marks.
Numbers and denials decide so strictly because they are what a wrong answer gets wrong while every other word stays.
Words alone cannot tell that two sentences in other words mean the same: such a claim counts as unsupported, and a
reader looks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from appliance.memory.claims import unmarked
from appliance.memory.sentences import sentences
from appliance.memory.wording import denies, figures, terms

if TYPE_CHECKING:
    from collections.abc import Sequence

THRESHOLD = 0.6
"""The share of a claim's content words that must stand in the passage's sentences."""
_QUOTATION = re.compile(
    r"[\"\u201c\u201e\u00ab]\s*([^\"\u201c\u201d\u201e\u00ab\u00bb]{8,2000}?)\s*[\"\u201d\u201c\u00bb]"
)
_AROUND = re.compile(r"^\W+|\W+$")
"""Bullets, emphasis, quotation marks and full stops: where a sentence stands, not what it says."""
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True)
class Support:
    """How, and where in the passage (``[first, last)`` of its characters)."""

    how: Literal["quoted", "worded"]
    first: int
    last: int


@dataclass(frozen=True)
class Evidence:
    """A passage to hold claims against: its words, and the headings and title that it stands under."""

    body: str
    above: str = ""

    @cached_property
    def _flat(self) -> tuple[str, tuple[int, ...]]:
        """The text with each run of blanks as one, and where each of its characters stands in ``body``."""
        told: list[str] = []
        places: list[int] = []
        for at, character in enumerate(self.body):
            blank = character.isspace()
            if blank and told and told[-1] == " ":
                continue
            told.append(" " if blank else character)
            places.append(at)
        return "".join(told), tuple(places)

    @cached_property
    def _windows(self) -> tuple[tuple[int, int, tuple[str, ...]], ...]:
        """Each sentence, then each two that follow each other: from where to where, and the sentences."""
        lines = [(m.start(), m[0]) for m in re.finditer(r"[^\n]+", self.body)]
        single = [(at + first, at + last, line[first:last]) for at, line in lines for first, last in sentences(line)]
        pairs = ((one[0], two[1], (one[2], two[2])) for one, two in pairwise(single))
        return (*((first, last, (part,)) for first, last, part in single), *pairs)

    def verbatim(self, words: str) -> tuple[int, int] | None:
        """Where ``words`` stand in the passage, blanks aside; None where they do not, or are none."""
        wanted = _BLANKS.sub(" ", words).strip()
        if not wanted:
            return None
        flat, places = self._flat
        at = flat.find(wanted)
        return None if at < 0 else (places[at], places[at + len(wanted) - 1] + 1)

    def support(self, claim: str) -> Support | None:
        """What ``claim`` rests on here; None where the words do not carry it."""
        said = _AROUND.sub("", unmarked(claim))
        if (place := self.verbatim(said)) is not None and _whole_words(self.body, place):
            return Support("quoted", *place)
        quotations = [_AROUND.sub("", one[1]) for one in _QUOTATION.finditer(unmarked(claim))]
        if any(self.verbatim(one) is None for one in quotations):
            return None
        return self._worded(said)

    def _worded(self, said: str) -> Support | None:
        wanted, numbers, denied = terms(said), figures(said), denies(said)
        if not wanted and not numbers:
            return None
        above = terms(self.above)
        best: tuple[float, int, Support] | None = None
        for first, last, parts in self._windows:
            held = [(terms(part) & wanted, part) for part in parts]
            found = frozenset[str]().union(*(words for words, _ in held))
            share = len(wanted & (found | above)) / len(wanted) if wanted else 1.0
            if share < THRESHOLD or (wanted and not found):
                continue
            concerned = [part for words, part in held if words or not wanted]
            _, closest = max(held, key=lambda one: len(one[0]))
            if denied != denies(closest) or not numbers <= frozenset[str]().union(*map(figures, concerned)):
                continue
            if best is None or (share, first - last) > best[:2]:
                best = share, first - last, Support("worded", first, last)
        return best[2] if best is not None else None


def coverage(question: str, text: str) -> float:
    """The share of the question's content words and figures that stand in ``text``; 0 for a question of none."""
    wanted = terms(question) | figures(question)
    return len(wanted & (terms(text) | figures(text))) / len(wanted) if wanted else 0.0


def _whole_words(body: str, place: Sequence[int]) -> bool:
    """Whether neither end cuts a word or a number in two."""
    before, after = body[place[0] - 1 : place[0]] if place[0] else "", body[place[1] : place[1] + 1]
    return not (before[-1:].isalnum() or after[:1].isalnum())
