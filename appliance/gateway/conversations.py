"""Conversations of one person: listed, read, renamed, deleted. Everything a person wrote is sealed at rest.

Each method takes the subject and touches only that subject's rows; somebody else's conversation does not exist.
Writing turns into a conversation is ``turns``.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from appliance.gateway import learnt
from appliance.gateway.errors import NotFoundError
from appliance.gateway.schema import conversation, failure, feedback, message, user_key
from appliance.gateway.sealing import UserSealer, new_wrapped_key, unwrap_key
from appliance.learning.failures import Remark

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.pseudonyms import Subject

LISTED = 500  # newest conversations shown in a list
READ = 1000  # newest messages of a conversation that are read back


@dataclass(frozen=True)
class Summary:
    """A conversation without its messages."""

    id: uuid.UUID
    title: str
    model: str
    updated: datetime


@dataclass(frozen=True)
class Message:
    """One message, opened."""

    id: uuid.UUID
    role: str
    content: str
    created: datetime
    finish_reason: str | None = None
    receipt: dict[str, Any] | None = None
    feedback: Remark | None = None


@dataclass(frozen=True)
class Conversation:
    """A conversation with its messages, oldest first."""

    id: uuid.UUID
    title: str
    model: str
    messages: tuple[Message, ...] = field(default=())
    sent_before: tuple[uuid.UUID, ...] = field(default=())
    """Answers that are gone (asked again), which experts still see because the person sent them."""


class ConversationStore:
    """Reads and changes conversations."""

    def __init__(self, engine: AsyncEngine, content_key: bytes) -> None:
        self._engine = engine
        self._content_key = content_key

    async def listed(self, subject: Subject) -> tuple[Summary, ...]:
        """Newest first."""
        query = (
            select(conversation)
            .where(conversation.c.subject == subject)
            .order_by(conversation.c.updated.desc(), conversation.c.id)
            .limit(LISTED)
        )
        async with self._engine.begin() as connection:
            sealer = await self.sealer(connection, subject)
            rows = (await connection.execute(query)).all()
        return tuple(Summary(row.id, opened_title(sealer, row), row.model, row.updated) for row in rows)

    async def create(self, subject: Subject, model: str) -> Summary:
        """An empty conversation with ``model``; its title comes with the first message."""
        values = {"id": uuid.uuid4(), "subject": subject, "model": model}
        statement = insert(conversation).values(values).returning(conversation)
        async with self._engine.begin() as connection:
            row = (await connection.execute(statement)).one()
        return Summary(row.id, "", row.model, row.updated)

    async def read(self, subject: Subject, conversation_id: uuid.UUID) -> Conversation:
        """The conversation with its messages. Raises ``NotFoundError``."""
        async with self._engine.begin() as connection:
            row = (await connection.execute(select(conversation).where(own(subject, conversation_id)))).one_or_none()
            if row is None:
                raise NotFoundError("there is no such conversation")
            sealer = await self.sealer(connection, subject)
            messages = await read_messages(connection, sealer, conversation_id)
            before = await learnt.sent_before(connection, conversation_id)
        return Conversation(row.id, opened_title(sealer, row), row.model, messages, before)

    async def rename(self, subject: Subject, conversation_id: uuid.UUID, title: str) -> Summary:
        """Give the conversation another title. Raises ``NotFoundError``."""
        async with self._engine.begin() as connection:
            sealer = await self.sealer(connection, subject)
            sealed = sealer.seal(title, bound_to=title_place(conversation_id))
            statement = (
                update(conversation).where(own(subject, conversation_id)).values(title=sealed).returning(conversation)
            )
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise NotFoundError("there is no such conversation")
        return Summary(row.id, title, row.model, row.updated)

    async def delete(self, subject: Subject, conversation_id: uuid.UUID) -> None:
        """Delete the conversation's rows, messages and feedback with them. Raises ``NotFoundError``.

        What was sent to experts from it is taken back.
        """
        async with self._engine.begin() as connection:
            await learnt.withdrawn(connection, subject, failure.c.conversation_id == conversation_id)
            gone = await connection.execute(delete(conversation).where(own(subject, conversation_id)))
        if gone.rowcount == 0:
            raise NotFoundError("there is no such conversation")

    async def sealer(self, connection: AsyncConnection, subject: Subject) -> UserSealer:
        """The subject's sealer; the data key is made at first use (by one gateway, whoever comes first)."""
        query = select(user_key.c.wrapped).where(user_key.c.subject == subject)
        wrapped = (await connection.execute(query)).scalar_one_or_none()
        if wrapped is None:
            fresh = new_wrapped_key(self._content_key, subject)
            await connection.execute(upsert(user_key).values(subject=subject, wrapped=fresh).on_conflict_do_nothing())
            wrapped = (await connection.execute(query)).scalar_one()
        return unwrap_key(self._content_key, subject, wrapped)

    async def sealers(
        self, connection: AsyncConnection, subjects: Collection[str], *, keep: bool = False
    ) -> dict[str, UserSealer]:
        """Sealers of those of ``subjects`` who have a key, which is for other people's words: none is made here.

        ``keep``: until the transaction ends nobody of them can be erased; who comes too late waits.
        """
        query = select(user_key).where(user_key.c.subject.in_(subjects)).order_by(user_key.c.subject)
        rows = (await connection.execute(query.with_for_update(read=True) if keep else query)).all()
        return {row.subject: unwrap_key(self._content_key, row.subject, row.wrapped) for row in rows}


def own(subject: Subject, conversation_id: uuid.UUID) -> ColumnElement[bool]:
    """The conversation, if it is the subject's."""
    return and_(conversation.c.id == conversation_id, conversation.c.subject == subject)


def title_place(conversation_id: uuid.UUID) -> str:
    """What a sealed title is bound to."""
    return f"title:{conversation_id}"


def opened_title(sealer: UserSealer, row: Row[Any]) -> str:
    """The title, or an empty text while there is none."""
    return sealer.unseal(row.title, bound_to=title_place(row.id)) if row.title is not None else ""


async def read_messages(
    connection: AsyncConnection, sealer: UserSealer, conversation_id: uuid.UUID
) -> tuple[Message, ...]:
    """The newest messages, oldest first, with feedback."""
    query = (
        select(
            message,
            feedback.c.verdict,
            feedback.c.reason,
            feedback.c.detail,
            failure.c.group_name.label("sent_to"),
        )
        .outerjoin(feedback, feedback.c.message_id == message.c.id)
        .outerjoin(failure, failure.c.message_id == message.c.id)
        .where(message.c.conversation_id == conversation_id)
        .order_by(message.c.ordinal.desc())
        .limit(READ)
    )
    rows = (await connection.execute(query)).all()
    return tuple(_opened(sealer, row) for row in reversed(rows))


def _opened(sealer: UserSealer, row: Row[Any]) -> Message:
    receipt = sealer.unseal(row.receipt, bound_to=f"receipt:{row.id}") if row.receipt is not None else None
    return Message(
        id=row.id,
        role=row.role,
        content=sealer.unseal(row.content, bound_to=f"content:{row.id}"),
        created=row.created,
        finish_reason=row.finish_reason,
        receipt=json.loads(receipt) if receipt is not None else None,
        feedback=opened_feedback(sealer, row),
    )


def opened_feedback(sealer: UserSealer, row: Row[Any]) -> Remark | None:
    """What was said of the message of ``row``, if anything."""
    if row.verdict is None:
        return None
    detail = json.loads(sealer.unseal(row.detail, bound_to=f"detail:{row.id}")) if row.detail is not None else {}
    return Remark(
        verdict=row.verdict,
        reasons=tuple(detail.get("reasons", ())),
        reason=sealer.unseal(row.reason, bound_to=f"reason:{row.id}") if row.reason is not None else None,
        correction=detail.get("correction"),
        send=row.sent_to is not None,
        group=row.sent_to,
        asks=bool(detail.get("asks", False)),
    )
