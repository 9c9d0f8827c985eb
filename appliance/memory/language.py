"""Which of the site's languages a text is in: by the words that each language cannot do without. Pure.

Good enough to choose how words are reduced to their stems; a text in another language is searched word by word.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal

Language = Literal["en", "fr", "de", "other"]
CONFIGURATION: dict[Language, str] = {"en": "english", "fr": "french", "de": "german", "other": "simple"}
"""PostgreSQL's text search configuration for each."""
_WORDS = {
    "en": "the of and to is that for on with are this be as it at by from or was which not have an if can will their",
    "fr": "le la les des et est une un du que pour dans sur qui par pas au avec sont cette ce aux ou il ne plus vous",
    "de": "der die das und ist nicht ein eine zu den von mit auf für im dem des sich werden sie auch als wird oder es",
}
_OF: dict[str, list[str]] = {}
for _language, _said in _WORDS.items():
    for _one in _said.split():
        _OF.setdefault(_one, []).append(_language)
FUNCTION_WORDS = frozenset(_OF)
"""Words that texts of some language cannot do without, and that tell nothing of what they are about."""
_WORD = re.compile(r"[^\W\d_]+")
_SAMPLE = 20_000
_ENOUGH = 3
_SHARE = 0.05


def language(text: str, declared: str | None = None) -> Language:
    """The language of ``text``; where the text does not tell, what the document ``declared`` (a BCP 47 tag)."""
    middle = max((len(text) - _SAMPLE) // 2, 0)
    words = _WORD.findall(text[middle : middle + _SAMPLE].lower())
    counted = Counter(one for word in words for one in _OF.get(word, ()))
    best = counted.most_common(1)
    if best and best[0][1] >= max(_ENOUGH, _SHARE * len(words)):
        return best[0][0]  # type: ignore[return-value]  # the keys of _WORDS are languages
    said = (declared or "").split("-")[0].lower()
    return said if said in _WORDS else "other"  # type: ignore[return-value]  # as above
