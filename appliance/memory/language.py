"""Which of the site's languages a text is in: by the words that each language cannot do without. Pure.

Good enough to choose how words are reduced to their stems; a text in another language is searched word by word.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Language = Literal["en", "fr", "de", "other"]
CONFIGURATION: dict[Language, str] = {"en": "english", "fr": "french", "de": "german", "other": "simple"}
"""PostgreSQL's text search configuration for each."""
_WORDS: dict[Language, str] = {
    "en": "the of and to is that for on with are this be as it at by from or was which not have an if can will their",
    "fr": "le la les des et est une un du que pour dans sur qui par pas au avec sont cette ce aux ou il ne plus vous",
    "de": "der die das und ist nicht ein eine zu den von mit auf für im dem des sich werden sie auch als wird oder es",
}
_OF: dict[str, list[Language]] = {}
for _language, _said in _WORDS.items():
    for _one in _said.split():
        _OF.setdefault(_one, []).append(_language)
FUNCTION_WORDS = frozenset(_OF)
"""Words that texts of some language cannot do without, and that tell nothing of what they are about."""
_WORD = re.compile(r"[^\W\d_]+")
_SAMPLE = 20_000
_ENOUGH = 3
_SHARE = 0.05


def leaning(text: str) -> Language:
    """The language of a text that may be as short as an answer: a single of its words tells, where none tells another.

    ``other`` where none does, or two languages have as many.
    """
    counted = _counted(_WORD.findall(text.lower())).most_common(2)
    if not counted or (len(counted) > 1 and counted[0][1] == counted[1][1]):
        return "other"
    return counted[0][0]


def language(text: str, declared: str | None = None) -> Language:
    """The language of ``text``; where the text does not tell, what the document ``declared`` (a BCP 47 tag)."""
    middle = max((len(text) - _SAMPLE) // 2, 0)
    words = _WORD.findall(text[middle : middle + _SAMPLE].lower())
    best = _counted(words).most_common(1)
    if best and best[0][1] >= max(_ENOUGH, _SHARE * len(words)):
        return best[0][0]
    said = (declared or "").split("-")[0].lower()
    return said if said in _WORDS else "other"


def _counted(words: Sequence[str]) -> Counter[Language]:
    return Counter(one for word in words for one in _OF.get(word, ()))
