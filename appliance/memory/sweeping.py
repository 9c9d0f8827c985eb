"""Nothing of a deleted document is left in the database's files: its tables are written anew.

``VACUUM (FULL)`` keeps rows that an older snapshot anywhere in the database might still ask for (a backup that runs),
and says how many. An ``ALTER TABLE`` that rewrites would drop them, and such a backup would find empty tables
(PostgreSQL manual, 13.6). So a sweep is done when no row was kept. That one is due stands in a row that the deleting
transaction writes: neither a crash nor a table in use makes anybody forget it.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from psycopg.errors import LockNotAvailable
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from appliance.memory import vector_index
from appliance.memory.schema import sweep_due

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from psycopg.errors import Diagnostic
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_TABLES = ("passage", "word_count", "document", "brief_line", "brief_strike")
_ATTEMPTS = 5
_PAUSE_S = 1.0
_PATIENCE = ("SET statement_timeout = 0", "SET lock_timeout = '2s'")
"""Questions wait behind whoever waits for the whole table."""
_USUAL = ("RESET statement_timeout", "RESET lock_timeout")
_KEPT = re.compile(r"\d+")
"""The detail of what ``VACUUM (FULL, VERBOSE)`` tells begins with the number of dead rows that had to stay."""


async def due(engine: AsyncEngine) -> datetime | None:
    """Since when a sweep is due; None where none is."""
    async with engine.begin() as connection:
        return (await connection.execute(select(sweep_due.c.since))).scalar_one_or_none()


async def sweep(engine: AsyncEngine, attempts: int = _ATTEMPTS) -> bool:
    """Do what is due. False: somebody's transaction uses a table, or could ask for a row, and the sweep stays due."""
    since = await due(engine)
    if since is None:
        return True
    for attempt in range(attempts):
        if attempt:
            await asyncio.sleep(_PAUSE_S)
        if await _rewritten(engine):
            async with engine.begin() as connection:
                await connection.execute(sweep_due.delete().where(sweep_due.c.since == since))
            return True
    return False


async def _rewritten(engine: AsyncEngine) -> bool:
    """Write each table anew, apart, so that nobody who waits for one holds another. Whether no dead row was kept."""
    async with engine.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await _said(alone, _PATIENCE)
        try:
            await vector_index.end(alone)
            if sum([await _kept(alone, table) for table in _TABLES]):
                return False
            await vector_index.drop(alone)
            return await _kept(alone, "passage_vector") == 0
        except DBAPIError as error:
            if isinstance(error.orig, LockNotAvailable):
                return False
            raise
        finally:
            await _said(alone, _USUAL)


async def _kept(alone: AsyncConnection, table: str) -> int:
    """How many dead rows had to stay in ``table``."""
    found: list[int] = []

    def heard(notice: Diagnostic) -> None:
        if (number := _KEPT.match(notice.message_detail or "")) is not None:
            found.append(int(number[0]))

    driver = (await alone.get_raw_connection()).driver_connection
    assert driver is not None
    driver.add_notice_handler(heard)
    try:
        await alone.execute(text(f"VACUUM (FULL, VERBOSE) {table}"))
    finally:
        driver.remove_notice_handler(heard)
    return sum(found) if found else 1  # unheard is not done


async def _said(alone: AsyncConnection, statements: Sequence[str]) -> None:
    for statement in statements:
        await alone.execute(text(statement))
