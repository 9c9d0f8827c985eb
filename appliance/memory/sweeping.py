"""Nothing of a deleted document is left in the database's files: its tables are written anew.

A rewriting ``ALTER TABLE`` copies the rows that are there now; ``VACUUM (FULL)`` would keep those that any older
snapshot in the database might still ask for (PostgreSQL manual, 13.6: such a rewrite is not MVCC-safe; readers here ask
one statement at a time). That a sweep is due stands in a row that the deleting transaction writes, so that neither a
crash nor a table in use makes anybody forget it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from psycopg.errors import LockNotAvailable
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from appliance.memory.access import keeping
from appliance.memory.schema import sweep_due

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncEngine

_REWRITES = (
    "ALTER TABLE passage_vector ALTER document_id TYPE uuid USING document_id::text::uuid",
    "ALTER TABLE passage ALTER first TYPE bigint USING first + 0",
    "ALTER TABLE word_count ALTER passages TYPE bigint USING passages + 0",
    "ALTER TABLE document ALTER characters TYPE bigint USING characters + 0",
)
"""Each table apart, so that nobody who waits for one holds another."""
_ATTEMPTS = 5
_PAUSE_S = 1.0
_PATIENCE = text("SET LOCAL lock_timeout = '2s'")
"""Questions wait behind whoever waits for the whole table."""


async def due(engine: AsyncEngine) -> datetime | None:
    """Since when a sweep is due; None where none is."""
    async with engine.begin() as connection:
        return (await connection.execute(select(sweep_due.c.since))).scalar_one_or_none()


async def sweep(engine: AsyncEngine) -> bool:
    """Do what is due. False: a table was in use by somebody's transaction all the time, and the sweep stays due."""
    since = await due(engine)
    if since is None:
        return True
    for rewrite in _REWRITES:
        if not await _rewritten(engine, rewrite):
            return False
    async with engine.begin() as connection:
        await connection.execute(sweep_due.delete().where(sweep_due.c.since == since))
    return True


async def _rewritten(engine: AsyncEngine, rewrite: str) -> bool:
    for attempt in range(_ATTEMPTS):
        if attempt:
            await asyncio.sleep(_PAUSE_S)
        try:
            async with keeping(engine) as connection:
                await connection.execute(_PATIENCE)
                await connection.execute(text(rewrite))
        except DBAPIError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
        else:
            return True
    return False
