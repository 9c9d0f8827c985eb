"""What people say of their answers: kept sealed under their own key, entered in the log without a word of it.

Order: what is there already is compared first, so that saying the same twice is one act and one entry; then what can be
refused is; then the act is entered, and without a durable entry nothing is kept; then it is kept, with what is sent to
experts or taken back from them in the same transaction.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from appliance.gateway import learnt
from appliance.gateway.conversations import opened_feedback
from appliance.gateway.errors import ExhaustedError, NotFoundError, UnprocessableError
from appliance.gateway.rollout_store import marked as counted_mark
from appliance.gateway.schema import conversation, failure, feedback, message, ruling
from appliance.learning.failures import Remark, Sent
from appliance.memory.documents import Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from sqlalchemy import Row, Select
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.pseudonyms import Subject
    from appliance.gateway.sealing import UserSealer

MOST_WAITING = 20
"""Failures of one person that nobody judged yet."""
LONGEST_QUESTION = 4_000
LONGEST_ANSWER = 32_000


@dataclass(frozen=True)
class Marked:
    """An answer of the person's, with what they said of it so far."""

    message_id: uuid.UUID
    conversation_id: uuid.UUID
    model: str
    given: Remark | None


@dataclass(frozen=True)
class Ground:
    """What answers were given from: passages, digests of groups' instructions and briefs, and names of adapters."""

    places: set[Place] = field(default_factory=set)
    instructions: set[str] = field(default_factory=set)
    adapters: set[str] = field(default_factory=set)
    briefs: set[str] = field(default_factory=set)


class FeedbackStore:
    """Remarks on answers, one an answer."""

    def __init__(self, engine: AsyncEngine, conversations: ConversationStore) -> None:
        self._engine = engine
        self._conversations = conversations

    async def answer(self, subject: Subject, message_id: uuid.UUID) -> Marked:
        """The answer and what was said of it. Raises ``NotFoundError`` for everything that is no answer of theirs."""
        query: Select[Any] = (
            select(
                message.c.id,
                message.c.conversation_id,
                conversation.c.model,
                feedback.c.verdict,
                feedback.c.reason,
                feedback.c.detail,
                failure.c.group_name.label("sent_to"),
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

    async def rests_on(self, subject: Subject, marked: Marked) -> Ground | None:
        """What the answer, or an answer before it in the conversation, was given from: it may quote all of it.

        None where that is not known, because an answer has words and no receipt.
        """
        until = select(message.c.ordinal).where(message.c.id == marked.message_id).scalar_subquery()
        query: Select[Any] = select(message.c.id, message.c.content, message.c.receipt).where(
            message.c.conversation_id == marked.conversation_id,
            message.c.role == "assistant",
            message.c.ordinal <= until,
        )
        async with self._engine.begin() as connection:
            rows = (await connection.execute(query)).all()
            sealer = await self._conversations.sealer(connection, subject)
        return await asyncio.to_thread(_ground, sealer, rows)

    async def give(
        self, subject: Subject, marked: Marked, remark: Remark, enter: Callable[[], Awaitable[object]]
    ) -> None:
        """Keep the person's latest remark, and show it to experts of its group if it is sent."""
        if remark == marked.given:
            return
        key = marked.message_id
        there = select(message.c.id).where(message.c.id == key).with_for_update(read=True, key_share=True)
        async with self._engine.begin() as connection:
            sealer = await self._conversations.sealer(connection, subject)
            if (await connection.execute(there)).one_or_none() is None:
                raise NotFoundError("there is no such answer")  # asked again, or deleted, meanwhile
            sent = await _to_send(connection, sealer, subject, marked, remark) if remark.send else None
            await enter()
            values = {
                "verdict": remark.verdict,
                "reason": sealer.seal(remark.reason, bound_to=f"reason:{key}") if remark.reason else None,
                "detail": sealer.seal(remark.detail(), bound_to=f"detail:{key}"),
                "created": func.now(),
            }
            statement = upsert(feedback).values(message_id=key, **values)
            await connection.execute(statement.on_conflict_do_update(index_elements=["message_id"], set_=values))
            await counted_mark(connection, key, remark.verdict)
            this = failure.c.message_id == key
            await learnt.withdrawn(
                connection, subject, this if sent is None else this & (failure.c.group_name != remark.group)
            )
            if sent is not None:
                await _send(connection, sealer, subject, marked, sent, remark.group)

    async def take_back(self, subject: Subject, message_id: uuid.UUID, enter: Callable[[], Awaitable[object]]) -> None:
        """Forget what was said of the answer, also where experts see it, even if the answer is gone. Idempotent.

        Raises ``NotFoundError`` for what is neither an answer of theirs nor was.
        """
        mine = failure.c.message_id == message_id
        sent = select(failure.c.id).where(mine, failure.c.subject == subject)
        async with self._engine.begin() as connection:
            was_sent = (await connection.execute(sent)).one_or_none() is not None
        if not was_sent and (await self.answer(subject, message_id)).given is None:
            return
        await enter()
        own = (
            select(message.c.id).join(conversation).where(message.c.id == message_id, conversation.c.subject == subject)
        )
        remark = feedback.c.message_id == message_id, feedback.c.message_id.in_(own)
        async with self._engine.begin() as connection:
            await connection.execute(delete(feedback).where(*remark))
            await counted_mark(connection, message_id, None)
            await learnt.withdrawn(connection, subject, mine)


async def _to_send(
    connection: AsyncConnection, sealer: UserSealer, subject: Subject, marked: Marked, remark: Remark
) -> Sent:
    """The copy of question, answer and remark that experts get: what is said later is not in it.

    Raises ``UnprocessableError`` for what is too long; ``ExhaustedError`` where ``MOST_WAITING`` of the person's wait.
    """
    judged = select(ruling.c.failure_id).where(ruling.c.failure_id == failure.c.id).exists()
    waiting = select(func.count()).where(
        failure.c.subject == subject, failure.c.message_id != marked.message_id, ~judged
    )
    if (await connection.execute(waiting)).scalar_one() >= MOST_WAITING:
        raise ExhaustedError(
            f"{MOST_WAITING} answers of yours wait for experts", "take one back", code="too_many_sent", retry_after=3600
        )
    about = message.alias()
    last = select(about.c.ordinal).where(about.c.id == marked.message_id).scalar_subquery()
    query: Select[Any] = (
        select(message.c.id, message.c.role, message.c.content, message.c.receipt)
        .where(message.c.conversation_id == marked.conversation_id, message.c.ordinal <= last)
        .order_by(message.c.ordinal.desc())
        .limit(2)
    )
    rows = (await connection.execute(query)).all()
    if [row.role for row in rows] != ["assistant", "user"]:
        raise NotFoundError("there is no such answer")
    answer, question = (sealer.unseal(row.content, bound_to=f"content:{row.id}") for row in rows)
    if len(question) > LONGEST_QUESTION or len(answer) > LONGEST_ANSWER:
        cause = f"experts take questions of {LONGEST_QUESTION} and answers of {LONGEST_ANSWER} characters"
        raise UnprocessableError(cause, "ask again with less", code="too_long_to_send", param="send")
    grounded = "documents" in _receipt(sealer, rows[0])
    return Sent(question, answer, remark.reasons, remark.reason, remark.correction, grounded, remark.asks)


async def _send(  # noqa: PLR0913, PLR0917 - private; one call
    connection: AsyncConnection, sealer: UserSealer, subject: Subject, marked: Marked, sent: Sent, group: str | None
) -> None:
    """Put it into the queue; where it is already, rulings on it stay and the words are those of now."""
    there = select(failure.c.id).where(failure.c.message_id == marked.message_id)
    known: uuid.UUID | None = (await connection.execute(there)).scalar_one_or_none()
    row = known or uuid.uuid4()
    values = {
        "id": row,
        "message_id": marked.message_id,
        "conversation_id": marked.conversation_id,
        "subject": subject,
        "group_name": group,
        "model": marked.model,
        "sealed": sealer.seal(sent.text(), bound_to=f"failure:{row}"),
    }
    statement = upsert(failure).values(values)
    changed = statement.on_conflict_do_update(index_elements=["id"], set_={"sealed": values["sealed"]})
    await connection.execute(changed)


def _ground(sealer: UserSealer, rows: Sequence[Row[Any]]) -> Ground | None:
    found = Ground()
    for row in rows:
        if row.receipt is None:
            if sealer.unseal(row.content, bound_to=f"content:{row.id}"):
                return None
            continue
        receipt = _receipt(sealer, row)
        for one in (receipt.get("documents") or {}).get("passages", ()):
            found.places.add(Place(uuid.UUID(one["document"]), one["version"], one["first"], one["last"]))
        if (words := (receipt.get("instructions") or {}).get("group")) is not None:
            found.instructions.add(words)
        if (brief := (receipt.get("instructions") or {}).get("brief")) is not None:
            found.briefs.add(brief)
        if (adapter := receipt.get("adapter")) is not None:
            found.adapters.add(adapter["name"])
    return found


def _receipt(sealer: UserSealer, row: Row[Any]) -> dict[str, Any]:
    if row.receipt is None:
        return {}
    found: dict[str, Any] = json.loads(sealer.unseal(row.receipt, bound_to=f"receipt:{row.id}"))
    return found
