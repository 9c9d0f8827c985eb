"""In whose name a transaction reads: the groups that the database shows documents to (``schema``'s policy)."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import TextClause
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

EVERYTHING = "*"
SEEN = "JOIN document AS d ON d.id = p.document_id AND d.state = 'ready'"
"""Goes with a passage ``p``, or its vector: of a document that is there to be found."""
READ_ONCE = "set_config('enable_nestloop', 'off', true)"
"""Selected before, since without statistics (``schema``) the planner would go through passages once for each document.
"""
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


@dataclass(frozen=True)
class Asker:
    """Who looks something up: people of ``groups``, or the keeper (None), who sees everything.

    Statements ask for the groups themselves (``may_see``), and the database's policy asks again in ``transaction``.
    """

    groups: tuple[str, ...] | None

    def transaction(self, engine: AsyncEngine) -> AbstractAsyncContextManager[AsyncConnection]:
        """One that sees what the asker may see."""
        return keeping(engine) if self.groups is None else reading(engine, self.groups)

    def may_see(self, table: str) -> str:
        """A condition on the ``groups`` of the table that is called so."""
        return "TRUE" if self.groups is None else f"{table}.groups && :groups"

    @property
    def named(self) -> dict[str, Any]:
        """The values of ``may_see``."""
        return {} if self.groups is None else {"groups": list(self.groups)}

    def typed(self, query: str) -> TextClause:
        """The statement, with the type of those values."""
        return text(query) if self.groups is None else text(query).bindparams(bindparam("groups", type_=ARRAY(Text)))
