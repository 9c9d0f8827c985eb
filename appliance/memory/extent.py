"""How much of the library there is, and how old: counted by the database in one statement, never read row by row.

A document of one group counts for that group; one that several groups may see counts once, for several. So the parts
add up to the library. Documents that could not be read have no passages, and are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from appliance.memory.access import keeping

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncEngine

MAX_GROUPS = 1024
_HURRIED = text("SET LOCAL statement_timeout = '3s'")
"""Whoever looks waits no longer, and costs the database no more."""
_PARTS = text(
    "SELECT CASE WHEN cardinality(groups) = 1 THEN groups[1] END AS name, count(*) AS documents, "
    "CAST(sum(passages) AS bigint) AS passages, CAST(sum(characters) AS bigint) AS characters, "
    "min(imported) AS oldest, max(imported) AS newest FROM document WHERE state = 'ready' "
    "GROUP BY 1 ORDER BY sum(characters) DESC LIMIT :most"
)
_SIZE = text("SELECT pg_total_relation_size('passage') + pg_total_relation_size('passage_vector')")


@dataclass(frozen=True)
class Part:
    """Documents that ``group`` alone may see; None: those that several may."""

    group: str | None
    documents: int
    passages: int
    characters: int
    oldest: datetime
    newest: datetime


@dataclass(frozen=True)
class Extent:
    """The library by groups, and the bytes that passages, words and vectors take in the database's files."""

    parts: tuple[Part, ...]
    size: int


async def extent(engine: AsyncEngine) -> Extent:
    """The library now. Raises ``OperationalError`` where the database does not answer, or not in time."""
    async with keeping(engine) as connection:
        await connection.execute(_HURRIED)
        rows = (await connection.execute(_PARTS, {"most": MAX_GROUPS})).all()
        size = (await connection.execute(_SIZE)).scalar_one()
    return Extent(tuple(Part(r.name, r.documents, r.passages, r.characters, r.oldest, r.newest) for r in rows), size)
