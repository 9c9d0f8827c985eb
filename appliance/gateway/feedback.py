"""What people say of their answers: kept sealed under their own key, entered in the log without a word of it.

Order: what is there already is compared first, so that saying the same twice is one act and one entry; then the act is
entered, and without a durable entry nothing is kept; then it is kept, with what is sent to experts or taken back from
them in the same transaction.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from appliance.gateway.conversations import opened_feedback
from appliance.gateway.errors import NotFoundError
from appliance.gateway.schema import conversation, failure, feedback, message
from appliance.learning.failures import Remark, Sent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.pseudonyms import Subject
    from appliance.gateway.sealing import UserSealer


@dataclass(frozen=True)
class Marked:
    """An answer of the person's, with what they said of it so far."""

    message_id: uuid.UUID
    conversation_id: uuid.UUID
    model: str
    given: Remark | None


class FeedbackStore:
    """Remarks on answers, one an answer."""

    def __init__(self, engine: AsyncEngine, conversations: ConversationStore) -> None:
        self._engine = engine
        self._conversations = conversations

    async def answer(self, subject: Subject, message_id: uuid.UUID) -> Marked:
        """The answer and what was said of it. Raises ``NotFoundError`` for everything that is no answer of theirs."""
        query = (
            select(
                message.c.id,
                message.c.conversation_id,
                conversation.c.model,
                feedback.c.verdict,
                feedback.c.reason,
                feedback.c.detail,
                failure.c.id.is_not(None).label("sent"),
            )
            .join(conversation, conversation.c.id == message.c.conversation_id)
            .outerjoin(feedback, feedback.c.message_id == message.c.id)
            .outerjoin(failure, failure.c.message_id == message.c.id)
            .where(message.c.id == message_id, message.c.role == "assistant", conversation.c.subject == subject)
        )
        async with self._engine.begin() as connection:
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise NotFoundError("there is no such answer")
            sealer = await self._conversations.sealer(connection, subject)
        return Marked(row.id, row.conversation_id, row.model, opened_feedback(sealer, row))

    async def give(
        self, subject: Subject, marked: Marked, remark: Remark, group: str, enter: Callable[[], Awaitable[object]]
    ) -> None:
        """Keep the person's latest remark; ``group`` is whose experts see it if it is sent."""
        if remark == marked.given:
            return
        await enter()
        key = marked.message_id
        async with self._engine.begin() as connection:
            sealer = await self._conversations.sealer(connection, subject)
            values = {
                "verdict": remark.verdict,
                "reason": sealer.seal(remark.reason, bound_to=f"reason:{key}") if remark.reason else None,
                "detail": sealer.seal(remark.detail(), bound_to=f"detail:{key}"),
                "created": func.now(),
            }
            statement = upsert(feedback).values(message_id=key, **values)
            await connection.execute(statement.on_conflict_do_update(index_elements=["message_id"], set_=values))
            await connection.execute(delete(failure).where(failure.c.message_id == key))
            if remark.send:
                await _send(connection, sealer, subject, marked, remark, group)

    async def take_back(self, subject: Subject, marked: Marked, enter: Callable[[], Awaitable[object]]) -> None:
        """Forget what was said of the answer, also where experts would see it. Idempotent."""
        if marked.given is None:
            return
        await enter()
        async with self._engine.begin() as connection:
            await connection.execute(delete(feedback).where(feedback.c.message_id == marked.message_id))
            await connection.execute(
                delete(failure).where(failure.c.message_id == marked.message_id, failure.c.subject == subject)
            )


async def _send(  # noqa: PLR0913, PLR0917 - private; one call
    connection: AsyncConnection, sealer: UserSealer, subject: Subject, marked: Marked, remark: Remark, group: str
) -> None:
    """Put a copy of question, answer and remark into the queue: what is said later is not in it."""
    about = message.alias()
    last = select(about.c.ordinal).where(about.c.id == marked.message_id).scalar_subquery()
    query = (
        select(message.c.id, message.c.role, message.c.content)
        .where(message.c.conversation_id == marked.conversation_id, message.c.ordinal <= last)
        .order_by(message.c.ordinal.desc())
        .limit(2)
    )
    rows = (await connection.execute(query)).all()
    if [row.role for row in rows] != ["assistant", "user"]:
        raise NotFoundError("there is no such answer")
    answer, question = (sealer.unseal(row.content, bound_to=f"content:{row.id}") for row in rows)
    sent = Sent(question, answer, remark.reasons, remark.reason, remark.correction)
    new = uuid.uuid4()
    values = {
        "id": new,
        "message_id": marked.message_id,
        "conversation_id": marked.conversation_id,
        "subject": subject,
        "group_name": group,
        "model": marked.model,
        "sealed": sealer.seal(sent.text(), bound_to=f"failure:{new}"),
    }
    await connection.execute(upsert(failure).values(values).on_conflict_do_nothing(index_elements=["message_id"]))
