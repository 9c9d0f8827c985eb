"""In whose name a transaction reads: the groups that the database shows documents to (``schema``'s policy)."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

EVERYTHING = "*"
_NAME = text("SELECT set_config('sovereign.groups', :groups, true)")

_UNHURRIED = text("SET LOCAL statement_timeout = 0")
"""A book's words take longer to keep than anybody's question may."""


@asynccontextmanager
async def reading(engine: AsyncEngine, groups: Iterable[str]) -> AsyncIterator[AsyncConnection]:
    """A transaction that sees the documents of ``groups`` and no others. Names that are no group's are left out."""
    named = ",".join(sorted({name for name in groups if name and name != EVERYTHING and "," not in name}))
    async with engine.begin() as connection:
        await connection.execute(_NAME, {"groups": named})
        yield connection


@asynccontextmanager
async def keeping(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction of whoever keeps the documents: the operator, or the gateway when it takes one in."""
    async with engine.begin() as connection:
        await connection.execute(_NAME, {"groups": EVERYTHING})
        await connection.execute(_UNHURRIED)
        yield connection
