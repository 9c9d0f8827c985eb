"""The queue of failures: what people sent, as experts of their groups see it, and what these rule.

An expert sees what was sent to a group of theirs, never who sent it. A second expert does not see what the first one
ruled before having ruled as well.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from appliance.gateway.errors import NotFoundError
from appliance.gateway.pseudonyms import Subject
from appliance.gateway.schema import failure, ruling
from appliance.learning.failures import Failure, Sent

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from typing import Any

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.sealing import UserSealer

LISTED = 300
"""Newest failures of an expert's groups that are looked at."""
JUDGED = 20_000


@dataclass(frozen=True)
class Ruled:
    """One expert's ruling, opened."""

    subject: str
    ruling: str
    note: str | None


class FailureStore:
    """Failures and rulings."""

    def __init__(self, engine: AsyncEngine, conversations: ConversationStore) -> None:
        self._engine = engine
        self._conversations = conversations

    async def of_groups(self, groups: Sequence[str]) -> tuple[Failure, ...]:
        """The newest failures of ``groups``, newest first."""
        query = select(failure).where(failure.c.group_name.in_(groups)).order_by(failure.c.created.desc()).limit(LISTED)
        async with self._engine.begin() as connection:
            rows = (await connection.execute(query)).all()
            return await self._opened(connection, rows)

    async def waiting(self, groups: Sequence[str], expert: Subject) -> tuple[Failure, ...]:
        """Failures of ``groups`` that wait for ``expert``, newest first: those that nobody judged, and some of others'.

        Each sort has a bound of its own, so that what is settled does not hide what is open.
        """
        judged = select(ruling.c.failure_id).where(ruling.c.failure_id == failure.c.id)
        theirs = failure.c.group_name.in_(groups), failure.c.subject != expert
        newest = select(failure).where(*theirs).order_by(failure.c.created.desc()).limit(LISTED)
        async with self._engine.begin() as connection:
            rows = list((await connection.execute(newest.where(~judged.exists()))).all())
            by_others = judged.exists(), ~judged.where(ruling.c.subject == expert).exists()
            rows += (await connection.execute(newest.where(*by_others))).all()
            found = await self._opened(connection, sorted(rows, key=lambda row: row.created, reverse=True))
        return tuple(one for one in found if one.waits_for(expert))

    async def one(self, failure_id: uuid.UUID, groups: Sequence[str]) -> Failure:
        """The failure, if it is of ``groups``. Raises ``NotFoundError``."""
        query = select(failure).where(failure.c.id == failure_id, failure.c.group_name.in_(groups))
        async with self._engine.begin() as connection:
            found = await self._opened(connection, (await connection.execute(query)).all())
        if not found:
            raise NotFoundError("there is no such failure")
        return found[0]

    async def rule(self, found: Failure, expert: Subject, said: str, note: str | None) -> None:
        """Keep the expert's latest ruling. Raises ``NotFoundError`` when the failure was taken back meanwhile."""
        kept = select(failure.c.id).where(failure.c.id == found.id).with_for_update()
        async with self._engine.begin() as connection:
            if (await connection.execute(kept)).one_or_none() is None:
                raise NotFoundError("there is no such failure")
            sealer = await self._conversations.sealer(connection, expert)
            sealed = sealer.seal(note, bound_to=f"note:{found.id}:{expert}") if note else None
            values = {"ruling": said, "note": sealed, "created": func.now()}
            statement = upsert(ruling).values(failure_id=found.id, subject=expert, **values)
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["failure_id", "subject"], set_=values)
            )

    async def ruled(self, failure_id: uuid.UUID) -> tuple[Ruled, ...]:
        """What was ruled on a failure, with the experts' notes."""
        query = select(ruling).where(ruling.c.failure_id == failure_id).order_by(ruling.c.created)
        async with self._engine.begin() as connection:
            rows = (await connection.execute(query)).all()
            found = []
            for row in rows:
                sealer = await self._conversations.sealer(connection, row.subject)
                place = f"note:{failure_id}:{row.subject}"
                note = sealer.unseal(row.note, bound_to=place) if row.note is not None else None
                found.append(Ruled(row.subject, row.ruling, note))
        return tuple(found)

    async def judged(self, groups: Sequence[str]) -> list[tuple[str, str, str]]:
        """(failure, expert, ruling) of the latest rulings in ``groups``, for agreement."""
        query = (
            select(ruling.c.failure_id, ruling.c.subject, ruling.c.ruling)
            .join(failure, failure.c.id == ruling.c.failure_id)
            .where(failure.c.group_name.in_(groups))
            .order_by(ruling.c.created.desc())
            .limit(JUDGED)
        )
        async with self._engine.begin() as connection:
            rows = (await connection.execute(query)).all()
        return [(str(row.failure_id), row.subject, row.ruling) for row in rows]

    async def _opened(self, connection: AsyncConnection, rows: Sequence[Row[Any]]) -> tuple[Failure, ...]:
        rulings: dict[uuid.UUID, dict[str, str]] = defaultdict(dict)
        said = select(ruling).where(ruling.c.failure_id.in_([row.id for row in rows]))
        for row in (await connection.execute(said)).all():
            rulings[row.failure_id][row.subject] = row.ruling
        sealers: dict[str, UserSealer] = {}
        found = []
        for row in rows:
            if row.subject not in sealers:
                sealers[row.subject] = await self._conversations.sealer(connection, Subject(row.subject))
            sent = Sent.read(sealers[row.subject].unseal(row.sealed, bound_to=f"failure:{row.id}"))
            about = (row.id, row.subject, row.group_name, row.model, row.created)
            found.append(Failure(*about, sent, rulings[row.id]))
        return tuple(found)
