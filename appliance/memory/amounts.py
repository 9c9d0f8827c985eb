"""How much of the library came from one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from appliance.memory.access import keeping
from appliance.memory.schema import document

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


async def amount(engine: AsyncEngine, prefix: str, beside: str) -> tuple[int, int]:
    """How many documents have an origin that begins with ``prefix``, and how many characters they say.

    That of the origin ``beside`` is not counted: another version would take its place.
    """
    counted = select(func.count(), func.coalesce(func.sum(document.c.characters), 0)).where(
        document.c.origin.startswith(prefix, autoescape=True), document.c.origin != beside
    )
    async with keeping(engine) as connection:
        documents, characters = (await connection.execute(counted)).one()
    return int(documents), int(characters)
