"""One turn of a conversation: a question goes in, an answer is written beside it.

Order: ``open`` takes the conversation's lease and reads the history; ``start`` writes the question and an empty answer
once the engine admitted the request; ``finish`` fills the answer, also a partial one; ``close`` gives the lease back,
always. The lease is a time in the conversation's row, so that two tabs, or two gateways, cannot write answers across
each other, and a gateway that died holds it only until it lapses.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, or_, select, text, update

from appliance.gateway.conversations import Message, opened_title, own, read_messages, title_place
from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.gateway.history import title_of
from appliance.gateway.schema import conversation, message

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.pseudonyms import Subject
    from appliance.gateway.sealing import UserSealer

LEASE = text("now() + interval '15 minutes'")


@dataclass(frozen=True)
class Turn:
    """A turn under way. ``history`` ends with the question; ``replaces`` is the answer that a retry discards."""

    conversation_id: uuid.UUID
    model: str
    question: str
    history: tuple[Message, ...]
    user_message_id: uuid.UUID
    message_id: uuid.UUID
    replaces: uuid.UUID | None
    untitled: bool
    sealer: UserSealer
    documents: bool = False
    """Whether the answer is to be from documents."""


class TurnStore:
    """Leases a conversation and writes one turn into it."""

    def __init__(self, engine: AsyncEngine, conversations: ConversationStore) -> None:
        self._engine = engine
        self._conversations = conversations

    async def open(self, subject: Subject, conversation_id: uuid.UUID, question: str) -> Turn:
        """Lease the conversation for a new question. Raises ``NotFoundError`` or ``ConflictError``."""
        async with self._engine.begin() as connection:
            model, sealer, untitled = await self._lease(connection, subject, conversation_id)
            history = await read_messages(connection, sealer, conversation_id)
        ids = uuid.uuid4(), uuid.uuid4()
        return Turn(conversation_id, model, question, history, *ids, None, untitled, sealer)

    async def reopen(self, subject: Subject, conversation_id: uuid.UUID, message_id: uuid.UUID) -> Turn:
        """Lease the conversation to answer its last question again. Raises as ``open`` does.

        Only the last answer can be replaced: what follows an earlier one was written in its light.
        """
        async with self._engine.begin() as connection:
            model, sealer, untitled = await self._lease(connection, subject, conversation_id)
            history = await read_messages(connection, sealer, conversation_id)
            if message_id not in {m.id for m in history if m.role == "assistant"}:
                raise NotFoundError("there is no such answer")
            if history[-1].id != message_id:
                raise ConflictError("only the last answer can be asked for again", code="not_last_answer")
        asked, former = history[-2:]
        ids = asked.id, uuid.uuid4(), message_id
        grounded = "documents" in (former.receipt or {})
        return Turn(conversation_id, model, asked.content, history[:-2], *ids, untitled, sealer, grounded)

    async def start(self, turn: Turn) -> None:
        """Write the question (or drop the answer that is replaced) and an empty answer.

        Raises ``NotFoundError`` when the conversation was deleted since it was opened.
        """
        kept = select(conversation.c.id).where(conversation.c.id == turn.conversation_id).with_for_update()
        async with self._engine.begin() as connection:
            if (await connection.execute(kept)).one_or_none() is None:
                raise NotFoundError("the conversation was deleted")
            if turn.replaces is None:
                await self._write(connection, turn, turn.user_message_id, "user", turn.question)
            else:
                await connection.execute(delete(message).where(message.c.id == turn.replaces))
            await self._write(connection, turn, turn.message_id, "assistant", "")
            changes: dict[str, Any] = {"updated": func.now()}
            if turn.untitled:
                changes["title"] = turn.sealer.seal(title_of(turn.question), bound_to=title_place(turn.conversation_id))
            await connection.execute(
                update(conversation).where(conversation.c.id == turn.conversation_id).values(changes)
            )

    async def finish(self, turn: Turn, answer: str, finish_reason: str, receipt: dict[str, Any] | None) -> None:
        """Fill the answer. A conversation deleted meanwhile stays deleted."""
        place = f"receipt:{turn.message_id}"
        sealed = turn.sealer.seal(json.dumps(receipt), bound_to=place) if receipt is not None else None
        values = {
            "content": turn.sealer.seal(answer, bound_to=f"content:{turn.message_id}"),
            "finish_reason": finish_reason,
            "receipt": sealed,
        }
        async with self._engine.begin() as connection:
            await connection.execute(update(message).where(message.c.id == turn.message_id).values(values))

    async def close(self, turn: Turn) -> None:
        """Give the lease back."""
        statement = update(conversation).where(conversation.c.id == turn.conversation_id).values(busy_until=None)
        async with self._engine.begin() as connection:
            await connection.execute(statement)

    async def _lease(
        self, connection: AsyncConnection, subject: Subject, conversation_id: uuid.UUID
    ) -> tuple[str, UserSealer, bool]:
        free = or_(conversation.c.busy_until.is_(None), conversation.c.busy_until < func.now())
        taken = (
            update(conversation)
            .where(own(subject, conversation_id), free)
            .values(busy_until=LEASE)
            .returning(conversation)
        )
        row = (await connection.execute(taken)).one_or_none()
        if row is None:
            exists = select(conversation.c.id).where(own(subject, conversation_id))
            if (await connection.execute(exists)).one_or_none() is None:
                raise NotFoundError("there is no such conversation")
            raise ConflictError("an answer is being written here", "wait for it, or stop it", code="busy")
        sealer = await self._conversations.sealer(connection, subject)
        return row.model, sealer, not opened_title(sealer, row)

    @staticmethod
    async def _write(connection: AsyncConnection, turn: Turn, message_id: uuid.UUID, role: str, content: str) -> None:
        values = {
            "id": message_id,
            "conversation_id": turn.conversation_id,
            "role": role,
            "content": turn.sealer.seal(content, bound_to=f"content:{message_id}"),
        }
        await connection.execute(insert(message).values(values))
