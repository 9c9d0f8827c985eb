"""Documents whose vectors the database draws, of 32 numbers; no model reads anything."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import text

from appliance.memory import vector_index
from appliance.memory.access import keeping
from tests.memory.library import DIMENSIONS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

MODEL = "sha256:" + "a" * 64
INDEX = vector_index.named(DIMENSIONS)
_DRAWN = (
    "(SELECT array_agg({around} * (g = 1)::int + random() - 0.5) FROM generate_series(1, :dimensions) AS g WHERE n > 0)"
)
_KEEP = """
WITH d AS (INSERT INTO document (id, origin, title, media_type, language, digest, groups, state, characters, passages,
        model, imported_by)
    VALUES (:id, :origin, 'drawn', 'text/plain', 'en', 'sha256:0', ARRAY[:group], 'ready', 1, :many, :model, 'uid 0')),
p AS (INSERT INTO passage (document_id, ordinal, first, last, headings, body, language, words)
    SELECT :id, n, 0, 1, '{{}}', 'drawn ' || n, 'en', '' FROM generate_series(1, :many) AS n RETURNING id, ordinal AS n)
INSERT INTO passage_vector SELECT id, :id, l2_normalize({drawn}::halfvec) FROM p
"""
_COUNT = text(
    "INSERT INTO word_count VALUES ('en', '', ARRAY[:group], :many) "
    "ON CONFLICT (language, word, groups) DO UPDATE SET passages = word_count.passages + excluded.passages"
)


async def drawn(pool: AsyncEngine, group: str, many: int, around: float = 0.0) -> uuid.UUID:
    """A document of so many passages whose vectors lie about a direction; its number."""
    number = uuid.uuid4()
    keep = text(_KEEP.format(drawn=_DRAWN.format(around=around)))
    values = {"id": number, "origin": str(number), "group": group, "many": many, "model": MODEL}
    async with keeping(pool) as connection:
        await connection.execute(text("SELECT setseed(0.5)"))
        await connection.execute(keep, values | {"dimensions": DIMENSIONS})
        await connection.execute(_COUNT, {"group": group, "many": many})
    return number


async def indexed(pool: AsyncEngine) -> bool:
    """Whether there is an index of them."""
    async with pool.connect() as connection:
        return bool((await connection.execute(text(f"SELECT {vector_index.READY}"), {"index": INDEX})).scalar_one())
