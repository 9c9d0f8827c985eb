"""What stands at a brief's places now, for people of its group: read each time, and copied nowhere.

A line counts as long as its document is there in that very version and the group may see it, or as long as the ruling
is in force in that version and in nobody's own words; and as long as nobody struck it for the group.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select

from appliance.gateway import gold_rows
from appliance.gateway.gold_rows import SITE
from appliance.learning.briefs import may_be_told, ruling_text
from appliance.memory.briefs import Line, Spot, fingerprint, ordered
from appliance.memory.schema import brief_line, brief_strike, document, passage
from appliance.memory.store import seen_by

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Iterable

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.gold_rows import Kept


async def standing(
    connection: AsyncConnection, conversations: ConversationStore, brief: uuid.UUID, group: str
) -> tuple[Line, ...]:
    """Lines of ``brief`` that stand, in the order in which they are told.

    The transaction reads in the name of ``group`` (``memory.access.reading``), so that the database asks as well.
    """
    found = await _documents(connection, brief, group)
    found += await _rulings(connection, conversations, brief, group)
    return ordered(await unstruck(connection, group, found))


async def unstruck(connection: AsyncConnection, group: str, lines: Iterable[Line]) -> list[Line]:
    """``lines`` without those that were struck for the group: in whatever version of their source, or in another's.

    A strike is bound to its source, and goes with it; so each sentence is held against every source that has one.
    """
    query = select(brief_strike.c.source, brief_strike.c.words).where(brief_strike.c.group_name == group)
    struck: dict[uuid.UUID, set[str]] = defaultdict(set)
    for row in (await connection.execute(query)).all():
        struck[row.source].add(row.words)
    return [
        one
        for one in lines
        if not any(fingerprint(group, source, one.text) in words for source, words in struck.items())
    ]


def spot_of(row: Row[Any]) -> Spot:
    """A row of ``brief_line`` as a place."""
    return Spot(row.kind, row.source, row.version, row.first, row.last)


def ruling_lines(kept: Collection[Kept]) -> list[Line]:
    """Rulings that a brief may tell: in force, in nobody's own words, and not among those that judge briefs."""
    return [
        Line(Spot("ruling", one.case.id, str(one.case.version), 0, 0), ruling_text(one.case.content))
        for one in kept
        if one.state == "active" and one.sealed_for == SITE and may_be_told(one.case)
    ]


async def _documents(connection: AsyncConnection, brief: uuid.UUID, group: str) -> list[Line]:
    at = and_(
        passage.c.document_id == document.c.id,
        passage.c.first <= brief_line.c.first,
        passage.c.last >= brief_line.c.last,
    )
    same = and_(
        document.c.id == brief_line.c.source,
        document.c.text_digest == brief_line.c.version,
        document.c.state == "ready",
    )
    query = (
        select(
            brief_line,
            document.c.title,
            passage.c.headings,
            passage.c.body,
            passage.c.first.label("begin"),
        )
        .join(document, same)
        .join(passage, at)
        .where(brief_line.c.brief_id == brief, brief_line.c.kind == "document", seen_by([group]))
        .order_by(brief_line.c.ordinal, passage.c.ordinal)
    )
    found: dict[int, Line] = {}
    for row in (await connection.execute(query)).all():
        said = row.body[row.first - row.begin : row.last - row.begin]
        found.setdefault(row.ordinal, Line(spot_of(row), said, " / ".join((row.title, *row.headings))))
    return list(found.values())


async def _rulings(
    connection: AsyncConnection, conversations: ConversationStore, brief: uuid.UUID, group: str
) -> list[Line]:
    query = select(brief_line).where(brief_line.c.brief_id == brief, brief_line.c.kind == "ruling")
    spots = {spot_of(row) for row in (await connection.execute(query)).all()}
    if not spots:
        return []
    ids = {spot.source for spot in spots}
    kept = await gold_rows.read(connection, conversations, [group], ("active",), ids)
    return [one for one in ruling_lines(kept) if one.spot in spots]
