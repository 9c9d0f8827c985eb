"""Names without a title: by what is written before them, or by being written large in pairs. Pure.

Behind a word for a role (``colleague``, ``cheffe``, ``Sachbearbeiterin``) one word with a capital is taken for a name.
Inside a sentence, two words or more with a capital in a row are. What starts a sentence is left out of a pair, since
any word has a capital there. What the caller knows to be no name (``known``: whole terms of a glossary) is none: a
term of two words excuses these two together and neither of them alone.

It misses a name of one word without a role before it, one that starts a sentence, and one in small letters. It takes
product names, laws and offices of two words for persons. ``docs/guides/exchange.md`` states how often. ``doubtful``
names what is left that may be a name, for whoever reads the text; it holds nothing back.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_LARGE = "".join(one for one in map(chr, range(0x250)) if one.isupper())
_SMALL = "".join(one for one in map(chr, range(0x250)) if one.islower())
"""Letters of the languages that are written in Latin ones, with whatever marks."""
_PART = f"(?:[{_LARGE}]')?[{_LARGE}][{_SMALL}]+"
_NAME = f"{_PART}(?:[-']{_PART})*"
_ROLES = (
    "colleague|manager|director|boss|secretary|clerk|officer|assistant|inspector|teacher|patient|client|employee|intern"
    "|collègue|directeur|directrice|chef|cheffe|secrétaire|employée?|agente?|stagiaire|patiente?|cliente?|inspecteur"
    "|Kollege|Kollegin|Chef|Chefin|Leiter|Leiterin|Sachbearbeiter|Sachbearbeiterin|Direktor|Direktorin|Mitarbeiter"
    "|Mitarbeiterin|Patient|Patientin|Kunde|Kundin|Lehrer|Lehrerin|Praktikant|Praktikantin"
)
_BEHIND_ROLE = re.compile(rf"(?<!\w)(?i:{_ROLES})\s+({_NAME}(?:\s+{_NAME})?)(?!\w)")
_PAIR = re.compile(rf"(?<=[^\W_][,;:]\s)({_NAME}(?:\s{_NAME})+)(?!\w)|(?<=[^\W_]\s)({_NAME}(?:\s{_NAME})+)(?!\w)")


_ANY = re.compile(rf"(?<!\w)({_NAME}(?:\s{_NAME})*)(?!\w)")
_STARTS = re.compile(r"(?:^|[.!?:»”\"]\s*|\n\s*)$")


def untitled(text: str, known: Collection[str] = ()) -> Iterator[tuple[int, int]]:
    """Where names stand, as far as their place and their capitals say; ``known`` are terms, with case folded."""
    for match in _BEHIND_ROLE.finditer(text):
        if _folded(match[1]) not in known:
            yield match.span(1)
    for match in _PAIR.finditer(text):
        number = 1 if match[1] else 2
        if _folded(match[number]) not in known:
            yield match.span(number)


def doubtful(text: str, language: str) -> tuple[str, ...]:
    """What is written large and may be a name though nothing says so, each once, in the order of the text.

    A word that starts a sentence is left out unless another with a capital follows it. In German every noun is written
    large, so only words in a row are named there.
    """
    found: dict[str, None] = {}
    for match in _ANY.finditer(text):
        pair = len(match[1].split()) > 1
        starts = _STARTS.search(text, max(0, match.start() - 8), match.start()) is not None
        if pair or not (starts or language == "de"):
            found[match[1]] = None
    return tuple(found)


def _folded(term: str) -> str:
    return " ".join(term.casefold().split())
