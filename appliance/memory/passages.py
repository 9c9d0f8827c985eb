"""Passages of a document in the database, with their words; and how many passages have each word.

For whoever holds the turn (``store.TURN``): all of these change the counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from appliance.memory.language import CONFIGURATION

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from appliance.memory.documents import Passage
    from appliance.memory.language import Language

EVERY = ""
"""In the counts of words: how many passages there are in a language."""
_OF = "(SELECT ARRAY(SELECT DISTINCT unnest(groups) ORDER BY 1) FROM document WHERE id = :id)"
_COUNTED = (
    f"SELECT {_OF} AS groups, language, word, count(*) AS passages "  # noqa: S608 - text of this module
    "FROM (SELECT language, unnest(tsvector_to_array(words)) AS word "
    "FROM passage WHERE document_id = :id UNION ALL SELECT language, '' FROM passage WHERE document_id = :id) AS said "
    "GROUP BY language, word"
)
_COUNT = text(
    f"INSERT INTO word_count (groups, language, word, passages) {_COUNTED} "
    "ON CONFLICT (groups, language, word) DO UPDATE SET passages = word_count.passages + excluded.passages"
)
_UNCOUNT = text(
    f"UPDATE word_count AS kept SET passages = kept.passages - gone.passages FROM ({_COUNTED}) AS gone "  # noqa: S608 - as above
    "WHERE kept.groups = gone.groups AND kept.language = gone.language AND kept.word = gone.word"
)
_UNHEARD = text("DELETE FROM word_count WHERE passages <= 0")
_WORDS = "setweight(to_tsvector('{name}', :heads), 'A') || to_tsvector('{name}', :said)"


async def count(connection: AsyncConnection, document_id: uuid.UUID) -> None:
    """Add the words of a document's passages to what its groups have."""
    await connection.execute(_COUNT, {"id": document_id})


async def uncount(connection: AsyncConnection, document_id: uuid.UUID) -> None:
    """Take them away again; words that nobody has any more are forgotten."""
    await connection.execute(_UNCOUNT, {"id": document_id})
    await connection.execute(_UNHEARD)


async def keep(
    connection: AsyncConnection, document_id: uuid.UUID, language: Language, passages: Sequence[Passage]
) -> None:
    """Put in what was read of a document: its passages with their words."""
    if not passages:
        return
    words = text(_WORDS.format(name=CONFIGURATION[language]))
    rows = [
        {
            "document_id": document_id,
            "ordinal": ordinal,
            "first": one.chunk.start,
            "last": one.chunk.end,
            "page": one.chunk.page,
            "headings": list(one.chunk.headings),
            "body": one.body,
            "language": language,
            "heads": lowered(" ".join(one.chunk.headings)),
            "said": lowered(one.body),
        }
        for ordinal, one in enumerate(passages)
    ]
    names = ("document_id", "ordinal", "first", "last", "page", "headings", "body", "language")
    columns, marks = ", ".join(names), ", ".join(f":{name}" for name in names)
    await connection.execute(
        text(f"INSERT INTO passage ({columns}, words) VALUES ({marks}, {words})"),  # noqa: S608 - names of this module
        rows,
    )


def lowered(said: str) -> str:
    """In small letters, as words are kept and asked for: the database's own ways know those of English only."""
    return said.lower().replace("\u2019", "'")
