"""In whose name a transaction reads: the groups that the database shows documents to (``schema``'s policy)."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from sqlalchemy import Row, TextClause
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_NONE: Mapping[str, Any] = MappingProxyType({})
EVERYTHING = "*"
SEEN = "JOIN document AS d ON d.id = p.document_id AND d.state = 'ready'"
"""Goes with a passage ``p``, or its vector: of a document that is there to be found."""
READ_ONCE = "set_config('enable_nestloop', 'off', true)"
"""Selected before, since without statistics (``schema``) the planner would go through passages once for each document.
"""
_NAME = "set_config('sovereign.groups', :sovereign_groups, true) AS named"
_UNHURRIED = "set_config('statement_timeout', '0', true) AS unhurried"
"""A book's words take longer to keep than anybody's question may."""


@asynccontextmanager
async def reading(engine: AsyncEngine, groups: Iterable[str]) -> AsyncIterator[AsyncConnection]:
    """A transaction that sees the documents of ``groups`` and no others. Names that are no group's are left out."""
    async with Asker(tuple(groups)).transaction(engine) as connection:
        yield connection


@asynccontextmanager
async def keeping(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction of whoever keeps the documents: the operator, or the gateway when it takes one in."""
    async with Asker(None).transaction(engine) as connection:
        yield connection


@dataclass(frozen=True)
class Asker:
    """Who looks something up: people of ``groups``, or the keeper (None), who sees everything.

    Statements ask for the groups themselves (``may_see``), and the database's policy asks again in ``transaction``.
    """

    groups: tuple[str, ...] | None

    @asynccontextmanager
    async def transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """One that sees what the asker may see."""
        async with engine.begin() as connection:
            await self.begin(connection)
            yield connection

    async def begin(self, connection: AsyncConnection, also: str = "", values: Mapping[str, Any] = _NONE) -> Row[Any]:
        """Let the transaction of ``connection``, which was just begun, see that; and select what is ``also`` wanted."""
        groups = EVERYTHING
        if self.groups is not None:
            groups = ",".join(sorted({name for name in self.groups if name and name != EVERYTHING and "," not in name}))
        told = ", ".join([_NAME, *([_UNHURRIED] if self.groups is None else []), *([also] if also else [])])
        return (await connection.execute(text(f"SELECT {told}"), {"sovereign_groups": groups, **values})).one()

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
