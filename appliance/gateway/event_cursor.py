"""How far Keycloak's events are in the log: one row, held by the one gateway that reads at the moment."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from appliance.gateway.schema import event_cursor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sqlalchemy.ext.asyncio import AsyncEngine

_SOURCE = "keycloak"


@dataclass
class Cursor:
    """``at``: the latest event that is in the log; ``read``: when everything up to then was. Milliseconds, or None."""

    at: int | None
    read: int | None


class CursorStore:
    """The cursor in the gateway's database. Everything raises what ``database.DATABASE_DOWN`` names."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[Cursor | None, None]:
        """The cursor, to be changed, for as long as it is held; None when another gateway holds it.

        What it says at the end is kept, unless the turn ends with an error: then nothing was read.
        """
        async with self._database.begin() as connection:  # at once: a row that is not there yet cannot be locked
            await connection.execute(insert(event_cursor).values(source=_SOURCE).on_conflict_do_nothing())
        async with self._database.begin() as connection:
            row = (
                await connection.execute(
                    select(event_cursor.c.at, event_cursor.c.read)
                    .where(event_cursor.c.source == _SOURCE)
                    .with_for_update(skip_locked=True)
                )
            ).first()
            if row is None:
                yield None
                return
            cursor = Cursor(*row)
            yield cursor
            await connection.execute(
                update(event_cursor).where(event_cursor.c.source == _SOURCE).values(at=cursor.at, read=cursor.read)
            )
