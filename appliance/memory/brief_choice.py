"""Which sentences a group's brief is made of: what it needs, what is new, what is central. Pure, seeded, bounded.

A sentence is worth what it says of the questions that failed (the share of a question's words that it holds, weighted
by how many asked), more where its document is new, and a little where its words run through many of the group's
documents (SumBasic: Nenkova and Vanderwende 2005). One after the other is taken, less what it repeats of those taken
(maximal marginal relevance: Carbonell and Goldstein 1998); one that says nearly the same as another is left out, and no
source fills more than its share.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.memory.briefs import AROUND, Line, Spot, ordered, rendered
from appliance.memory.citations import evidence
from appliance.memory.claims import claims, markers
from appliance.memory.wording import figures, terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from appliance.memory.documents import Found

SHORTEST, LONGEST = 30, 400
"""Characters of a sentence that can stand alone."""
FEWEST_WORDS = 3
MOST_SENTENCES = 20_000
MOST_LINES = 48
MOST_OF_A_SOURCE = 6
SAME = 0.6
"""From this share of common words on (Jaccard), two sentences say the same."""
RULINGS_SHARE = 2
"""Rulings take one of so many parts of the tokens at most, beside what stands around the quotations."""
_NEED, _NEW, _CENTRAL, _REPEATED = 3.0, 1.0, 1.0, 2.0
_ENDS = (".", "!", "…", ".”", ".»", ".)")


@dataclass(frozen=True)
class Need:
    """Something that was asked and not answered well: how many times."""

    question: str
    count: int = 1


@dataclass(frozen=True)
class Offer:
    """A line that may be taken. ``new``: its source was not there when the last brief was made."""

    line: Line
    new: bool = False


@dataclass
class _Weighed:
    offer: Offer
    words: frozenset[str]
    worth: float
    tie: bytes
    nearest: float = 0.0

    @property
    def source(self) -> object:
        return self.offer.line.spot.source


def sentences_of(passage: Found) -> Iterator[Line]:
    """Sentences of a passage that can stand alone, each where it stands; verbatim, or they are none."""
    held = evidence(passage)
    above = " / ".join((passage.title, *passage.headings))
    for claim in claims(passage.body):
        said = passage.body[claim.first : claim.last]
        if not _stands_alone(said):
            continue
        support = held.support(said)
        if support is None or support.how != "quoted":
            continue
        spot = Spot(
            "document", passage.document, passage.text_digest, passage.first + claim.first, passage.first + claim.last
        )
        yield Line(spot, said, above)


def chosen(
    offers: Iterable[Offer], needs: Sequence[Need], tokens: int, count: Callable[[str], int], seed: int
) -> tuple[Line, ...]:
    """Lines that take at most ``tokens`` by ``count``, in the order in which they are told. The same for the same."""
    waiting = _weighed(_distinct(offers), needs, seed)
    taken: list[Line] = []
    sources: Counter[object] = Counter()
    around = count(AROUND)
    share = around + max(0, tokens - around) // RULINGS_SHARE

    def fits(line: Line) -> bool:
        rulings = [one for one in (*taken, line) if one.spot.kind == "ruling"]
        if line.spot.kind == "ruling" and count(rendered(ordered(rulings))) > share:
            return False
        return count(rendered(ordered([*taken, line]))) <= tokens

    while len(taken) < MOST_LINES:
        waiting.sort(key=lambda one: (one.worth - _REPEATED * one.nearest, one.tie), reverse=True)
        at = next((at for at, one in enumerate(waiting) if fits(one.offer.line)), None)
        if at is None:
            break
        best = waiting[at]
        taken.append(best.offer.line)
        sources[best.source] += 1
        waiting = [one for one in waiting[at + 1 :] if _may_follow(one, best, sources)]  # what did not fit never will
    return ordered(taken)


def _may_follow(one: _Weighed, taken: _Weighed, sources: Counter[object]) -> bool:
    """Whether it is still to be looked at once ``taken`` is; how near it is to it counts against it from now on."""
    alike = _jaccard(one.words, taken.words)
    one.nearest = max(one.nearest, alike)
    return alike < SAME and sources[one.source] < MOST_OF_A_SOURCE


def _distinct(offers: Iterable[Offer]) -> list[Offer]:
    """Each sentence once, however many passages or documents hold it; the most there may be."""
    found: dict[str, Offer] = {}
    ranked = sorted(offers, key=lambda one: (one.line.spot.kind != "ruling", not one.new, _key(one.line)))
    for one in ranked:
        found.setdefault(" ".join(one.line.text.casefold().split()), one)
        if len(found) >= MOST_SENTENCES:
            break
    return list(found.values())


def _weighed(offers: Sequence[Offer], needs: Sequence[Need], seed: int) -> list[_Weighed]:
    words = [_words(one.line) for one in offers]
    spread = Counter(word for said in words for word in said)
    asked = [(terms(need.question) | figures(need.question), math.log1p(need.count)) for need in needs]
    most = max((weight for _, weight in asked), default=1.0)
    most_spread = max(spread.values(), default=1)
    found = []
    for one, said in zip(offers, words, strict=True):
        need = max((weight / most * len(want & said) / len(want) for want, weight in asked if want), default=0.0)
        if one.line.spot.kind == "ruling":
            need = 1.0  # an expert said so
        central = sum(spread[word] for word in said) / len(said) / most_spread if said else 0.0
        worth = _NEED * need + _NEW * one.new + _CENTRAL * central
        found.append(_Weighed(one, said, worth, _tie(one.line, seed)))
    return found


def _words(line: Line) -> frozenset[str]:
    return terms(line.text) | figures(line.text)


def _stands_alone(said: str) -> bool:
    whole = said[:1].isupper() or said[:1].isdigit()
    return (
        whole
        and SHORTEST <= len(said) <= LONGEST
        and "\n" not in said
        and said.endswith(_ENDS)
        and not markers(said)
        and len(terms(said)) >= FEWEST_WORDS
    )


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0


def _key(line: Line) -> tuple[str, int]:
    return line.spot.source.hex, line.spot.first


def _tie(line: Line, seed: int) -> bytes:
    """What decides between equals: nobody's choice, and the same every time."""
    return hashlib.sha256(f"{seed} {line.spot.source} {line.spot.first}".encode()).digest()
