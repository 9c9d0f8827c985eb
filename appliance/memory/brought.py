"""What one person brought into the library: told to them, and, when they are erased, brought by nobody any more.

The documents stay, since they are their groups'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from appliance.memory.access import Asker
from appliance.memory.documents import NOBODY
from appliance.memory.schema import document
from appliance.memory.store import DUE, TURN

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_TOLD = ("id", "origin", "title", "digest", "groups", "imported")


async def brought_by(connection: AsyncConnection, person: str) -> list[dict[str, Any]]:
    """The documents that ``person`` brought, whoever may see them, as JSON-ready data.

    The transaction sees all documents from here on, as a keeper's does (``access``).
    """
    await Asker(None).begin(connection)
    theirs = select(*(document.c[name] for name in _TOLD)).where(document.c.imported_by == person)
    return [dict(row) for row in (await connection.execute(theirs.order_by(document.c.imported))).mappings()]


async def brought_by_nobody(connection: AsyncConnection, person: str) -> int:
    """Take ``person`` off what they brought; of how many documents. The transaction sees all documents from here on.

    It has the turn until it ends, so it is called first: what is being kept is there before, or is kept after all that
    the transaction does (``Library``).
    """
    await Asker(None).begin(connection)
    await connection.execute(TURN)
    renamed = update(document).where(document.c.imported_by == person).values(imported_by=NOBODY)
    documents = (await connection.execute(renamed)).rowcount
    if documents:
        await connection.execute(DUE)
    return documents
