"""How far Keycloak's events are in the log: a row for each kind, held by the one gateway that reads."""

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


@dataclass
class Cursor:
    """How far events of one kind are in the log; milliseconds."""

    at: int | None
    """The latest event that is."""
    read: int | None
    """When there was nothing left to read."""
    begun: int
    """When this cursor was made: it names what is logged about that."""

    @property
    def known(self) -> int | None:
        """Up to when everything is in the log; None when nobody knows."""
        return max(self.at or 0, self.read or 0) or None


class CursorStore:
    """The cursors in the gateway's database. Everything raises what ``database.DATABASE_DOWN`` names."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    @asynccontextmanager
    async def turn(self, kind: str, now: int) -> AsyncGenerator[Cursor | None, None]:
        """The cursor of a kind, to be changed, for one page; None when another gateway holds it.

        What it says at the end is kept, unless the turn ends with an error: then nothing was read.
        """
        async with self._database.begin() as connection:  # at once: a row that is not there yet cannot be locked
            await connection.execute(insert(event_cursor).values(kind=kind, begun=now).on_conflict_do_nothing())
        async with self._database.begin() as connection:
            row = (
                await connection.execute(
                    select(event_cursor.c.at, event_cursor.c.read, event_cursor.c.begun)
                    .where(event_cursor.c.kind == kind)
                    .with_for_update(skip_locked=True)
                )
            ).first()
            if row is None:
                yield None
                return
            cursor = Cursor(*row)
            yield cursor
            await connection.execute(
                update(event_cursor).where(event_cursor.c.kind == kind).values(at=cursor.at, read=cursor.read)
            )
