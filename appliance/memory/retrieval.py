"""Passages that answer a question, among those that the asker's groups may see: by words and by meaning, ranks fused.

By words: a passage scores the sum over the question's words of the word's rarity times how much of the passage it is
(the rarity is BM25's; PostgreSQL's own ranks know none). Rarity is counted over what the asker may see, so that nothing
in an answer depends on a document of somebody else; words that the question's language cannot do without are left out
(``content_words``). Only passages with one of the rarest words are scored, a bounded number, so that a question of
common words costs no more than another. By meaning: the nearest of the vectors that the
same model made, all of them compared. All queries ask for groups themselves, and the database's policy asks again
(``access``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, text, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from appliance.memory.access import keeping, reading
from appliance.memory.content_words import content_words
from appliance.memory.documents import Found, Place
from appliance.memory.fusion import fused
from appliance.memory.language import CONFIGURATION
from appliance.memory.passages import EVERY, lowered
from appliance.memory.schema import document, passage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

DEPTH = 50
"""How far down each ranking is looked."""
MAX_CANDIDATES = 2000
"""Passages with the question's rarest words that are scored, in each language."""
MAX_WORDS = 12
MAX_QUESTION = 4000
_ASKED = " UNION ALL ".join(
    f"SELECT '{language}' AS language, unnest(ARRAY['{EVERY}'] || tsvector_to_array(to_tsvector('{name}', :question))) "
    "AS word"
    for language, name in CONFIGURATION.items()
)
_ONE_PASS = text("SET LOCAL enable_nestloop = off")
"""Without statistics (``schema``), the planner would ask the index of words once for each document."""
_SEEN = "JOIN document AS d ON d.id = p.document_id AND d.state = 'ready'"
_WEIGHTS = "'{0.3, 0.3, 0.6, 1.0}'"
"""Of words in the text (first) and in the headings above it (last)."""


@dataclass(frozen=True)
class Word:
    """A word of the question in one language, as it is kept there, and in how many passages it stands."""

    language: str
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


@dataclass(frozen=True)
class Meaning:
    """The question's vector, as pgvector writes it, and the digest of the model that made it."""

    vector: str
    model: str


class Retrieval:
    """Questions to the documents in the database behind ``engine``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def found(
        self, question: str, asked: Meaning | None, groups: Iterable[str] | None, limit: int = 8, meaning: float = 1.0
    ) -> tuple[Found, ...]:
        """The best passages for ``question``, at most ``limit``, best first; ``groups`` None is the keeper.

        Without ``asked``, words alone decide. ``meaning`` is how much the ranking by vectors counts beside that by
        words.
        """
        named = list(groups) if groups is not None else None
        opened = keeping(self._engine) if named is None else reading(self._engine, named)
        async with opened as connection:
            by_words = await self._by_words(connection, question[:MAX_QUESTION], named)
            near = await self._by_meaning(connection, asked, named) if asked is not None else {}
            best = fused([(1.0, by_words), (meaning, list(near))])[:limit]
            return await self._passages(connection, best, near)

    async def still(self, places: Sequence[Place], groups: Iterable[str]) -> tuple[Found | None, ...]:
        """Each of ``places`` as it stands now, verbatim; None where ``groups`` may not see it, or that version is gone.

        So a passage that was found earlier is shown, or cited, under what holds at this moment.
        """
        named = list(groups)
        query = (
            select(passage, document.c.title, document.c.digest, document.c.text_digest)
            .join(document, document.c.id == passage.c.document_id)
            .where(document.c.groups.overlap(named), document.c.state == "ready")
            .where(passage.c.document_id.in_({place.document for place in places}))
            .where(tuple_(passage.c.first, passage.c.last).in_({(place.first, place.last) for place in places}))
        )
        async with reading(self._engine, named) as connection:
            rows = (await connection.execute(query)).all() if places else ()
        known = {Place(row.document_id, row.text_digest, row.first, row.last): found_of(row) for row in rows}
        return tuple(known.get(place) for place in places)

    async def answerable(self, groups: Iterable[str]) -> bool:
        """Whether there is a document that ``groups`` may be answered from."""
        named = list(groups)
        query = select(document.c.id).where(document.c.groups.overlap(named), document.c.state == "ready").limit(1)
        async with reading(self._engine, named) as connection:
            return (await connection.execute(query)).one_or_none() is not None

    async def _by_words(self, connection: AsyncConnection, question: str, groups: Sequence[str] | None) -> list[int]:
        query = text(
            "SELECT c.language, c.word, CAST(sum(c.passages) AS bigint) AS passages FROM word_count AS c "  # noqa: S608 - text of this module
            f"JOIN ({_ASKED}) AS a USING (language, word) "
            f"{'' if groups is None else 'WHERE c.groups && :groups'} GROUP BY c.language, c.word"
        )
        values = {"question": await content_words(connection, lowered(question)), **_named(groups)}
        rows = (await connection.execute(_typed(query, groups), values)).all()
        await connection.execute(_ONE_PASS)
        of = {row.language: row.passages for row in rows if row.word == EVERY}
        words = [Word(r.language, r.word, r.passages, of[r.language]) for r in rows if r.word != EVERY]
        scored: list[tuple[float, int]] = []
        for language in sorted(of):
            asked = sorted((w for w in words if w.language == language), key=lambda w: (w.passages, w.word))[:MAX_WORDS]
            if asked:
                scored += await self._scored(connection, language, asked, groups)
        return [number for _, number in sorted(scored, key=lambda one: (-one[0], one[1]))[:DEPTH]]

    @staticmethod
    async def _scored(
        connection: AsyncConnection, language: str, asked: Sequence[Word], groups: Sequence[str] | None
    ) -> list[tuple[float, int]]:
        terms = " + ".join(
            f":r{n} * ts_rank({_WEIGHTS}, p.words, CAST(:w{n} AS tsquery), 1)" for n in range(len(asked))
        )
        values: dict[str, Any] = {f"r{n}": word.rarity for n, word in enumerate(asked)}
        values |= {f"w{n}": word.query for n, word in enumerate(asked)}
        values |= {"any": " | ".join(word.query for word in rarest(asked)), "language": language, "depth": DEPTH}
        values["candidates"] = MAX_CANDIDATES
        query = text(
            f"SELECT p.id, {terms} AS score FROM (SELECT p.id, p.words FROM passage AS p {_SEEN} "  # noqa: S608 - text of this module
            f"WHERE p.words @@ CAST(:any AS tsquery) AND p.language = :language {_allowed(groups)} LIMIT :candidates) "
            "AS p ORDER BY score DESC, p.id LIMIT :depth"
        )
        rows = (await connection.execute(_typed(query, groups), values | _named(groups))).all()
        return [(row.score, row.id) for row in rows]

    @staticmethod
    async def _by_meaning(
        connection: AsyncConnection, asked: Meaning, groups: Sequence[str] | None
    ) -> dict[int, float]:
        """Passages, nearest first, with how near: the cosine, since vectors have length 1."""
        query = text(
            "SELECT p.passage_id, -(p.embedding <#> CAST(:vector AS halfvec)) AS cosine "  # noqa: S608 - as above
            f"FROM passage_vector AS p {_SEEN} WHERE d.model = :model "
            f"{_allowed(groups)} ORDER BY p.embedding <#> CAST(:vector AS halfvec), p.passage_id LIMIT :depth"
        )
        values = {"vector": asked.vector, "model": asked.model, "depth": DEPTH, **_named(groups)}
        rows = (await connection.execute(_typed(query, groups), values)).all()
        return {row.passage_id: row.cosine for row in rows}

    @staticmethod
    async def _passages(
        connection: AsyncConnection, best: Sequence[tuple[int, float]], near: Mapping[int, float]
    ) -> tuple[Found, ...]:
        query = (
            select(passage, document.c.title, document.c.digest, document.c.text_digest)
            .join(document, document.c.id == passage.c.document_id)
            .where(passage.c.id.in_([number for number, _ in best]))
        )
        rows = {row.id: row for row in (await connection.execute(query)).all()}
        return tuple(
            found_of(row, score, near.get(number)) for number, score in best if (row := rows.get(number)) is not None
        )


def found_of(row: Row[Any], score: float = 0.0, cosine: float | None = None) -> Found:
    """A passage's row, with its document's title and digests, as a value."""
    return Found(
        document=row.document_id,
        title=row.title,
        digest=row.digest,
        text_digest=row.text_digest,
        passage=row.id,
        ordinal=row.ordinal,
        first=row.first,
        last=row.last,
        page=row.page,
        headings=tuple(row.headings),
        body=row.body,
        language=row.language,
        score=score,
        cosine=cosine,
    )


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


def _allowed(groups: Sequence[str] | None) -> str:
    return "" if groups is None else "AND d.groups && :groups"


def _named(groups: Sequence[str] | None) -> dict[str, Any]:
    return {} if groups is None else {"groups": list(groups)}


def _typed(query: Any, groups: Sequence[str] | None) -> Any:
    return query if groups is None else query.bindparams(bindparam("groups", type_=ARRAY(Text)))
