"""What an answer about a section of the manuals should name, by how its authors marked what they named. Pure.

Commands, files and packages stand in marks of their own in the manuals' HTML. The first of them that a section names,
and its question does not, are what an answer to it contains where it is one. So nobody had to write down answers, and
no choice was made in the light of what a model says.

People come back to what others asked: *recurring* questions are about a section that the other half of the questions
asks about too, in other words; *new* ones are about a section that nobody asked about. Both are asked in equal numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lxml import html

from appliance.learning.words import holds
from appliance.memory.language import language as language_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lxml.html import HtmlElement

    from appliance.learning.cases import Language
    from tests.bench.learning.questions import Question

_MARKED = frozenset({"command", "literal", "filename", "docutils literal notranslate", "pkg pkg"})
_NAME = re.compile(r"[A-Za-z/.~][\w./+~-]{2,39}")
_HEADINGS = frozenset({"h1", "h2", "h3", "h4"})
_NAMES = 3
Stratum = Literal["recurring", "new"]


@dataclass(frozen=True)
class Fact:
    """A question, and what an answer to it names. ``page`` is the document that should carry it."""

    language: Language
    question: str
    names: tuple[str, ...]
    page: str
    section: str
    stratum: Stratum

    @property
    def name(self) -> str:
        """By which it is known from one run to the next."""
        return hashlib.sha256(f"{self.language} {self.question}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Half:
    """What a house of one language asks: ``learning`` by day, ``held_out`` the day after."""

    learning: tuple[Fact, ...]
    held_out: tuple[Fact, ...]


def half(asks: Sequence[Question], language: Language, learning: int, held_out: int) -> Half:
    """So many of each half at most, by their digests; recurring ones first among those to learn from.

    Of those held out, as many are new as recur, as far as there are as many.
    """
    mine = [one for one in sorted(asks, key=_order) if one.language == language and one.section is not None]
    mine = [one for one in mine if language_of(one.said) in {language, "other"}]  # some pages are not translated
    told = {_place(one) for one in mine if not one.held_out}
    asked = {_place(one) for one in mine if one.held_out}
    known, kept = [], defaultdict[Stratum, list[Fact]](list)
    seen: set[tuple[str, str | None]] = set()
    for fact, question in _facts(mine, told & asked):
        if question.held_out:
            kept[fact.stratum].append(fact)
        elif _place(question) not in seen:
            seen.add(_place(question))
            known.append(fact)
    known.sort(key=lambda one: one.stratum != "recurring")
    chosen = tuple(known[:learning])
    places = {(one.page, one.section) for one in chosen}
    recurring = [one for one in kept["recurring"] if (one.page, one.section) in places][: held_out // 2]
    return Half(chosen, (*recurring, *kept["new"][: held_out - len(recurring)]))


def _facts(asks: Iterable[Question], both: set[tuple[str, str | None]]) -> Iterator[tuple[Fact, Question]]:
    pages: dict[str, HtmlElement] = {}
    for one in asks:
        root = pages.get(one.page)
        if root is None:
            root = pages[one.page] = html.parse(one.page).getroot()
        section = one.section or ""
        names = tuple(name for name in named(root, section) if not holds(one.said, name))[:_NAMES]
        if names:
            stratum: Stratum = "recurring" if _place(one) in both else "new"
            language: Language = one.language  # type: ignore[assignment]  # one of the three
            yield Fact(language, one.said, names, one.page, section, stratum), one


def named(root: HtmlElement, section: str) -> list[str]:
    """Names that are marked between the heading ``section`` and the next one, each once, in their order."""
    inside, found = False, dict[str, None]()
    for one in root.iter():
        if one.tag in _HEADINGS:
            if inside:
                break
            inside = " ".join(one.text_content().split()) == section
        elif inside and one.get("class") in _MARKED and one.tag in {"code", "span", "strong"}:
            said = one.text_content().strip()
            if _NAME.fullmatch(said) and holds(said, said):
                found.setdefault(said)
    return list(found)


def _place(one: Question) -> tuple[str, str | None]:
    return one.page, one.section


def _order(one: Question) -> bytes:
    """Nobody's choice, and not that by which questions were held out."""
    return hashlib.sha256(one.said[::-1].encode()).digest()
