"""Names without a title: by what is written before them, or by being written large in pairs. Pure.

Behind a word for a role (``colleague``, ``cheffe``, ``Sachbearbeiterin``) one word with a capital is taken for a name.
Inside a sentence, two words or more with a capital in a row are. What starts a sentence is left out of a pair, since
any word has a capital there, and so are the words that the caller knows to be none (``known``: a glossary).

It misses a name of one word without a role before it, one that starts a sentence, and one in small letters. It takes
product names, laws and offices of two words for persons. ``docs/guides/exchange.md`` states how often.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_NAME = r"[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]+(?:[-'][A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]+)*"
_ROLES = (
    "colleague|manager|director|boss|secretary|clerk|officer|assistant|inspector|teacher|patient|client|employee|intern"
    "|collègue|directeur|directrice|chef|cheffe|secrétaire|employée?|agente?|stagiaire|patiente?|cliente?|inspecteur"
    "|Kollege|Kollegin|Chef|Chefin|Leiter|Leiterin|Sachbearbeiter|Sachbearbeiterin|Direktor|Direktorin|Mitarbeiter"
    "|Mitarbeiterin|Patient|Patientin|Kunde|Kundin|Lehrer|Lehrerin|Praktikant|Praktikantin"
)
_BEHIND_ROLE = re.compile(rf"(?<!\w)(?i:{_ROLES})\s+({_NAME}(?:\s+{_NAME})?)(?!\w)")
_PAIR = re.compile(rf"(?<=[^\W_][,;:]\s)({_NAME}(?:\s{_NAME})+)(?!\w)|(?<=[^\W_]\s)({_NAME}(?:\s{_NAME})+)(?!\w)")


def untitled(text: str, known: Collection[str] = ()) -> Iterator[tuple[int, int]]:
    """Where names stand, as far as their place and their capitals say; ``known`` are words in small letters."""
    for match in _BEHIND_ROLE.finditer(text):
        if match[1].casefold() not in known:
            yield match.span(1)
    for match in _PAIR.finditer(text):
        number = 1 if match[1] else 2
        if any(word.casefold() not in known for word in match[number].split()):
            yield match.span(number)
