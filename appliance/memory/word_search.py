"""Passages that answer a question by its words, best first.

A passage scores the sum over the question's words of the word's rarity times how much of the passage it is (the rarity
is BM25's; PostgreSQL's own ranks know none). Rarity is counted over what the asker may see, so that nothing in an
answer depends on a document of somebody else; words that the question's language cannot do without are left out
(``content_words``). Only passages with one of the rarest words are scored, a bounded number in each language, so that a
question of common words costs no more than another. Each language has an index of its own (``schema``): in another's
passages a word is met for nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.memory.access import READ_ONCE, Asker
from appliance.memory.content_words import content_words
from appliance.memory.language import CONFIGURATION
from appliance.memory.passages import EVERY, lowered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from appliance.memory.language import Language

DEPTH = 50
"""How far down the ranking is looked."""
MAX_CANDIDATES = 500
"""Passages with the question's rarest words that are scored, in each language."""
MAX_WORDS = 12
_ASKED = " UNION ALL ".join(
    f"SELECT '{language}' AS language, unnest(ARRAY['{EVERY}'] || tsvector_to_array(to_tsvector('{name}', :question))) "
    "AS word"
    for language, name in CONFIGURATION.items()
)
_WEIGHTS = "'{0.3, 0.3, 0.6, 1.0}'"
"""Of words in the text (first) and in the headings above it (last)."""


@dataclass(frozen=True)
class Word:
    """A word of the question in one language, as it is kept there, and in how many passages it stands."""

    language: Language
    word: str
    passages: int
    of: int

    @property
    def rarity(self) -> float:
        """BM25's inverse document frequency (Robertson, Zaragoza: The Probabilistic Relevance Framework, 2009)."""
        return math.log(1 + (self.of - self.passages + 0.5) / (self.passages + 0.5))

    @property
    def query(self) -> str:
        """As a ``tsquery``."""
        return "'" + self.word.replace("\\", "\\\\").replace("'", "''") + "'"


async def by_words(connection: AsyncConnection, question: str, asker: Asker) -> tuple[list[int], int]:
    """Numbers of passages, best first, at most ``DEPTH``, of how many; the transaction is the asker's (``access``)."""
    words, among = await _counted(connection, question, asker)
    if not words:
        return [], among
    parts, values = [], dict[str, Any]()
    for language in CONFIGURATION:
        asked = sorted((w for w in words if w.language == language), key=lambda w: (w.passages, w.word))[:MAX_WORDS]
        if asked:
            parts.append(_scored(language, asked))
            values |= dict(_values(language, asked))
    values |= {"depth": DEPTH, "candidates": MAX_CANDIDATES}
    query = (
        f"WITH seen AS MATERIALIZED (SELECT d.id FROM document AS d WHERE d.state = 'ready' AND {asker.may_see('d')}) "  # noqa: S608 - text of this module
        f"SELECT id FROM ({' UNION ALL '.join(parts)}) AS best ORDER BY score DESC, id LIMIT :depth"
    )
    rows = (await connection.execute(asker.typed(query), values | asker.named)).all()
    return [row.id for row in rows], among


async def _counted(connection: AsyncConnection, question: str, asker: Asker) -> tuple[list[Word], int]:
    """The question's words, those that stand somewhere, in each language; and how many passages the asker may see."""
    query = (
        f"SELECT c.language, c.word, CAST(sum(c.passages) AS bigint) AS passages, {READ_ONCE} FROM word_count AS c "  # noqa: S608 - as above
        f"JOIN ({_ASKED}) AS a USING (language, word) WHERE {asker.may_see('c')} GROUP BY c.language, c.word"
    )
    values = {"question": await content_words(connection, lowered(question)), **asker.named}
    rows = (await connection.execute(asker.typed(query), values)).all()
    of = {row.language: row.passages for row in rows if row.word == EVERY}
    words = [Word(r.language, r.word, r.passages, of[r.language]) for r in rows if r.word != EVERY]
    return words, sum(of.values())


def _scored(language: Language, asked: Sequence[Word]) -> str:
    """The best passages of one language. It is named in the text, since that is what its index is of."""
    terms = " + ".join(
        f":{language}_r{n} * ts_rank({_WEIGHTS}, p.words, CAST(:{language}_w{n} AS tsquery), 1)"
        for n in range(len(asked))
    )
    return (
        f"(SELECT p.id, {terms} AS score FROM (SELECT p.id, p.words FROM passage AS p "  # noqa: S608 - as above
        "JOIN seen ON seen.id = p.document_id "
        f"WHERE p.words @@ CAST(:{language}_any AS tsquery) AND p.language = '{language}' "
        "LIMIT :candidates) AS p ORDER BY score DESC, p.id LIMIT :depth)"
    )


def _values(language: Language, asked: Sequence[Word]) -> Iterator[tuple[str, Any]]:
    yield f"{language}_any", " | ".join(word.query for word in rarest(asked))
    for number, word in enumerate(asked):
        yield f"{language}_r{number}", word.rarity
        yield f"{language}_w{number}", word.query


def rarest(asked: Sequence[Word]) -> list[Word]:
    """The words, rarest first, as long as the passages that hold one of them are few enough; at least one. Pure."""
    taken: list[Word] = []
    candidates = 0
    for word in sorted(asked, key=lambda w: (w.passages, w.word)):
        candidates += word.passages
        if taken and candidates > MAX_CANDIDATES:
            break
        taken.append(word)
    return taken
