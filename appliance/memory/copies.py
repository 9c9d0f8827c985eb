"""What stands word for word in several files, told once: a house keeps the same page in many, and places are few. Pure.

Two passages are copies where their words are the same, the headings of one end as those of the other (a chapter is a
file, and the book another), and who brought one brought the other: nobody's document takes the place of somebody
else's. What erased people brought cannot be told apart by who brought it, so none of it is a copy. Of copies that one
is told whose title and headings hold most of what is asked for ("the rules of 2025").
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from appliance.memory.documents import NOBODY
from appliance.memory.support import coverage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from appliance.memory.documents import Found


@dataclass(frozen=True)
class Brought:
    """A passage, and who brought its document."""

    found: Found
    by: str


@dataclass
class _Place:
    """Copies of one passage, by rank."""

    copies: list[Brought] = field(default_factory=list)

    def holds(self, one: Brought) -> bool:
        first = self.copies[0]
        return one.by == first.by != NOBODY and _end_alike(one.found.headings, first.found.headings)

    def told(self, question: str) -> Found:
        """The copy that is told, as near as the nearest of them and where the first of them ranks."""
        if len(self.copies) == 1:
            return self.copies[0].found
        best = max((one.found for one in self.copies), key=lambda found: _named(question, found))
        near = [one.found.cosine for one in self.copies if one.found.cosine is not None]
        return replace(best, score=self.copies[0].found.score, cosine=max(near, default=None))


def told_once(question: str, ranked: Iterable[Brought]) -> list[Found]:
    """``ranked`` without its copies, in the same order."""
    places: list[_Place] = []
    of: dict[str, list[_Place]] = {}
    for one in ranked:
        alike = of.setdefault(words_of(one.found.body), [])
        place = next((place for place in alike if place.holds(one)), None)
        if place is None:
            place = _Place()
            places.append(place)
            alike.append(place)
        place.copies.append(one)
    return [place.told(question) for place in places]


def words_of(body: str) -> str:
    """What a passage says, however its lines are broken."""
    return " ".join(body.split())


def _end_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return one[len(one) - shorter :] == other[len(other) - shorter :]


def _named(question: str, found: Found) -> float:
    return coverage(question, " ".join((found.title, *found.headings)))
