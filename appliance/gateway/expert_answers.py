"""What experts answered to people who asked: sealed under the asker's key, read by the asker alone, gone with them.

An answer hangs on the failure that was sent, so it goes when that is taken back, or its conversation deleted. Whoever
wrote it is known to the database (until they are erased) and is told to nobody; who asked is told to no expert.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from appliance.gateway.schema import expert_answer, failure
from appliance.gateway.sealing import SealError
from appliance.learning.failures import Sent

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.pseudonyms import Subject
    from appliance.gateway.sealing import UserSealer
    from appliance.learning.failures import Failure

LISTED = 200


@dataclass(frozen=True)
class ExpertAnswer:
    """One answer as its asker sees it: ``question`` is what they sent, ``group`` whose expert answered."""

    id: uuid.UUID
    conversation_id: uuid.UUID
    message_id: uuid.UUID
    group: str
    question: str
    text: str
    created: datetime
    seen: bool


class ExpertAnswers:
    """Reads them for whoever asked; ``written`` and ``keep`` are parts of an expert's ruling."""

    def __init__(self, engine: AsyncEngine, conversations: ConversationStore) -> None:
        self._engine = engine
        self._conversations = conversations

    async def of(self, subject: Subject, conversation_id: uuid.UUID | None = None) -> tuple[ExpertAnswer, ...]:
        """Answers to the person, oldest first: the newest ``LISTED``, of one conversation or of all."""
        query = (
            select(expert_answer, failure.c.conversation_id, failure.c.message_id, failure.c.group_name)
            .add_columns(failure.c.sealed.label("sent"))
            .join(failure, failure.c.id == expert_answer.c.failure_id)
            .where(expert_answer.c.subject == subject, failure.c.subject == subject)
            .order_by(expert_answer.c.created.desc(), expert_answer.c.id)
            .limit(LISTED)
        )
        if conversation_id is not None:
            query = query.where(failure.c.conversation_id == conversation_id)
        async with self._engine.begin() as connection:
            rows = (await connection.execute(query)).all()
            sealer = await self._conversations.sealer(connection, subject)
        return tuple(_opened(sealer, row) for row in reversed(rows))

    async def unseen(self, subject: Subject) -> int:
        """How many the person has not seen."""
        new = expert_answer.c.subject == subject, expert_answer.c.seen.is_(None)
        async with self._engine.connect() as connection:
            found: int = (
                await connection.execute(select(func.count()).select_from(expert_answer).where(*new))
            ).scalar_one()
        return found

    async def see(self, subject: Subject, ids: list[uuid.UUID]) -> None:
        """The person has seen these; other people's are not touched. Idempotent."""
        mine = expert_answer.c.subject == subject, expert_answer.c.id.in_(ids), expert_answer.c.seen.is_(None)
        async with self._engine.begin() as connection:
            await connection.execute(update(expert_answer).where(*mine).values(seen=func.now()))

    async def written(self, found: Failure) -> dict[str, str]:
        """What experts answered to a failure, by expert; what does not open is left out."""
        async with self._engine.begin() as connection:
            sealers = await self._conversations.sealers(connection, {found.subject})
            if found.subject not in sealers:
                return {}
            return await written(connection, sealers[found.subject], found)


async def written(connection: AsyncConnection, sealer: UserSealer, found: Failure) -> dict[str, str]:
    """As ``ExpertAnswers.written``, in the caller's transaction."""
    query = select(expert_answer).where(expert_answer.c.failure_id == found.id).order_by(expert_answer.c.created)
    opened = {}
    for row in (await connection.execute(query)).all():
        try:
            opened[row.author] = sealer.unseal(row.sealed, bound_to=_place(row.id))
        except SealError:
            continue
    return opened


async def keep(connection: AsyncConnection, sealer: UserSealer, found: Failure, author: Subject, text: str) -> None:
    """Keep the expert's answer, in the place of what they answered before; the asker has not seen it then.

    The caller holds the asker's key and the failure (``rulings``), so that neither goes meanwhile.
    """
    mine = expert_answer.c.failure_id == found.id, expert_answer.c.author == author
    known = (await connection.execute(select(expert_answer.c.id).where(*mine))).scalar_one_or_none()
    key = known or uuid.uuid4()
    values: dict[str, Any] = {"sealed": sealer.seal(text, bound_to=_place(key)), "seen": None}
    if known is None:
        about = {"id": key, "failure_id": found.id, "subject": found.subject, "author": author}
        await connection.execute(insert(expert_answer).values(**about, **values))
    else:
        changed = update(expert_answer).where(expert_answer.c.id == key)
        await connection.execute(changed.values(**values, created=func.now()))


def _opened(sealer: UserSealer, row: Row[Any]) -> ExpertAnswer:
    sent = Sent.read(sealer.unseal(row.sent, bound_to=f"failure:{row.failure_id}"))
    text = opened_text(sealer, row)
    about = (row.id, row.conversation_id, row.message_id, row.group_name)
    return ExpertAnswer(*about, sent.question, text, row.created, row.seen is not None)


def opened_text(sealer: UserSealer, row: Row[Any]) -> str:
    """The words of a row of ``expert_answer``."""
    return sealer.unseal(row.sealed, bound_to=_place(row.id))


def _place(key: uuid.UUID) -> str:
    return f"expert-answer:{key}"
