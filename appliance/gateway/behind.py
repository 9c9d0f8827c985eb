"""What was said behind an entry of the log: found among a person's conversations, and held against the entry."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from appliance.audit.commitment import SALT_BYTES, opens
from appliance.gateway.schema import conversation

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.gateway.conversations import ConversationStore, Message
    from appliance.gateway.pseudonyms import Subject


@dataclass(frozen=True)
class Said:
    """A question and its answer; ``proven`` says that the answer's commitment in its receipt opens to this text."""

    question: str
    answer: str
    proven: bool


async def said_behind(
    engine: AsyncEngine, conversations: ConversationStore, subject: Subject, commitment: str
) -> Said | None:
    """What ``subject`` said and was answered where the prompt's commitment is ``commitment``.

    None when nothing of it is held: it was erased, or never kept. Raises ``SealError`` when a row does not open.
    """
    mine = select(conversation.c.id).where(conversation.c.subject == subject)
    async with engine.begin() as connection:
        found = (await connection.execute(mine)).scalars().all()
    for one in found:
        messages = (await conversations.read(subject, one)).messages
        for question, answer in pairwise(messages):
            if _commitments(answer).get("prompt") == commitment:
                return Said(question.content, answer.content, _proven(answer))
    return None


def _commitments(message: Message) -> dict[str, Any]:
    found = (message.receipt or {}).get("commitments")
    return found if isinstance(found, dict) else {}


def _proven(answer: Message) -> bool:
    made = _commitments(answer)
    try:
        salt = base64.b64decode(made["answer_salt"], validate=True)
        return len(salt) == SALT_BYTES and opens(made["answer"], answer.content.encode(), salt)
    except (KeyError, TypeError, binascii.Error, ValueError):
        return False
