"""What in a passage a claim rests on: its own words, verbatim, or wording that says the same. Pure.

A claim is ``quoted`` where all of it stands in the passage, blanks aside. It is ``worded`` where a sentence of the
passage, or two of them for a claim without figures, with the headings above, hold ``THRESHOLD`` of its content words,
all of its figures, of the same thing where both say of what, deny where it denies, and where the passage holds verbatim
whatever it puts between quotation marks.
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
from appliance.memory.wording import denies, figures, measured, measures, terms

if TYPE_CHECKING:
    from collections.abc import Sequence

THRESHOLD = 0.6
"""The share of a claim's content words that must stand in the passage's sentences."""
_QUOTATION = re.compile(r"[\"\u201c\u201e\u00ab]([^\"\u201c\u201d\u201e\u00ab\u00bb]{8,2000})[\"\u201d\u201c\u00bb]")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True)
class Support:
    """How, and where in the passage (``[first, last)`` of its characters)."""

    how: Literal["quoted", "worded"]
    first: int
    last: int


@dataclass(frozen=True)
class _Sentence:
    first: int
    last: int
    words: frozenset[str]
    measures: frozenset[tuple[str, str]]
    denies: bool

    @classmethod
    def of(cls, body: str, first: int, last: int) -> _Sentence:
        said = body[first:last]
        return cls(first, last, terms(said), measures(said), denies(said))


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
    def _sentences(self) -> tuple[_Sentence, ...]:
        lines = ((m.start(), m[0]) for m in re.finditer(r"[^\n]+", self.body))
        spans = ((at + first, at + last) for at, line in lines for first, last in sentences(line))
        return tuple(_Sentence.of(self.body, *span) for span in spans)

    @cached_property
    def _above(self) -> frozenset[str]:
        return terms(self.above)

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
        said = bare(unmarked(claim))
        if (place := self.verbatim(said)) is not None and _whole_words(self.body, place):
            return Support("quoted", *place)
        quotations = [bare(one[1]) for one in _QUOTATION.finditer(unmarked(claim))]
        if any(self.verbatim(one) is None for one in quotations):
            return None
        return self._worded(said)

    def _worded(self, said: str) -> Support | None:
        """A claim with figures is carried by one sentence: what stands in the next is said of something else."""
        wanted, numbers, denied = terms(said), measures(said), denies(said)
        if not wanted and not numbers:
            return None
        windows = [(one,) for one in self._sentences]
        both = [] if numbers else list(pairwise(self._sentences))
        best: tuple[float, int, Support] | None = None
        for window in (*windows, *both):
            found = frozenset[str]().union(*(one.words for one in window)) & wanted
            share = len(found | (wanted & self._above)) / len(wanted) if wanted else 1.0
            closest = max(window, key=lambda one: len(one.words & wanted))
            carries = share >= THRESHOLD and (found or not wanted) and denied == closest.denies
            if not carries or not measured(numbers, closest.measures):
                continue
            first, last = window[0].first, window[-1].last
            if best is None or (share, first - last) > best[:2]:
                best = share, first - last, Support("worded", first, last)
        return best[2] if best is not None else None


def bare(text: str) -> str:
    """``text`` from its first letter or figure to its last: without bullets, emphasis, quotation marks, full stops."""
    places = [at for at, letter in enumerate(text) if letter.isalnum()]
    return text[places[0] : places[-1] + 1] if places else ""


def coverage(question: str, text: str) -> float:
    """The share of the question's content words and figures that stand in ``text``; 0 for a question of none."""
    wanted = terms(question) | figures(question)
    return len(wanted & (terms(text) | figures(text))) / len(wanted) if wanted else 0.0


def _whole_words(body: str, place: Sequence[int]) -> bool:
    """Whether neither end cuts a word or a number in two."""
    before, after = body[place[0] - 1 : place[0]] if place[0] else "", body[place[1] : place[1] + 1]
    return not (before[-1:].isalnum() or after[:1].isalnum())
