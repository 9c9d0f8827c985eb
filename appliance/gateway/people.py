"""Everything that the database holds about one person: given to them, or destroyed.

Contents are sealed under the person's own data key, which lies wrapped in ``user_key`` and nowhere else. So whoever has
an older copy of the other tables reads nothing of somebody whose key is gone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, text

from appliance.gateway import learnt
from appliance.gateway.quota import REQUESTS, TOKENS, owner_of
from appliance.gateway.schema import conversation, message, quota_counter, rollout_answer, session, user_key
from appliance.memory.brought import brought_by, brought_by_nobody

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.pseudonyms import Subject

SCHEMA = 1


@dataclass(frozen=True)
class Erased:
    """What was destroyed: rows, and whether there was a data key. ``documents`` stay, and name nobody."""

    conversations: int
    messages: int
    sessions: int
    key: bool
    documents: int


class People:
    """Reads and erases all of a person's rows."""

    def __init__(self, engine: AsyncEngine, conversations: ConversationStore) -> None:
        self._engine = engine
        self._conversations = conversations

    async def export(self, subject: Subject) -> dict[str, Any]:
        """Conversations with messages, receipts and remarks, quotas, what the loop holds, and documents they brought.

        JSON-ready. What a document says is its groups', and not in it.
        Raises ``SealError`` when something does not open with the site's keys.
        """
        by_subject = select(conversation.c.id).where(conversation.c.subject == subject).order_by(conversation.c.created)
        quotas = select(quota_counter).where(quota_counter.c.subject == owner_of(subject))
        counted = select(rollout_answer).where(rollout_answer.c.subject == subject).order_by(rollout_answer.c.at)
        async with self._engine.begin() as connection:
            found = (await connection.execute(by_subject)).scalars().all()
            counters = (await connection.execute(quotas)).mappings().all()
            rolled = (await connection.execute(counted)).mappings().all()
            learning = await learnt.held(connection, await self._conversations.sealer(connection, subject), subject)
            documents = await brought_by(connection, subject)
        kept = [await self._conversations.read(subject, one) for one in found]
        return {
            "schema": SCHEMA,
            "subject": subject,
            "conversations": [asdict(one) for one in kept],
            "quotas": [{name: value for name, value in row.items() if name != "subject"} for row in counters],
            "learning": learning,
            "rollouts": [{name: value for name, value in row.items() if name != "subject"} for row in rolled],
            "documents": documents,
        }

    async def erase(self, subject: Subject) -> Erased:
        """Destroy the person's data key and every row; the person is signed out. Idempotent.

        Documents that they brought are their groups', and stay without the person's pseudonym. The key's table is
        written anew, so that its old pages hold the key no more.
        """
        mine = select(conversation.c.id).where(conversation.c.subject == subject)
        messages = select(func.count()).select_from(message).where(message.c.conversation_id.in_(mine))
        async with self._engine.begin() as connection:
            documents = await brought_by_nobody(connection, subject)
            keys = await connection.execute(delete(user_key).where(user_key.c.subject == subject))
            count = (await connection.execute(messages)).scalar_one()
            sessions = await connection.execute(delete(session).where(session.c.subject == subject))
            gone = await connection.execute(delete(conversation).where(conversation.c.subject == subject))
            for metric in (REQUESTS, TOKENS):  # in the order in which admissions lock them
                theirs = (quota_counter.c.subject == owner_of(subject)) & (quota_counter.c.metric == metric)
                await connection.execute(delete(quota_counter).where(theirs))
            await connection.execute(delete(rollout_answer).where(rollout_answer.c.subject == subject))
            await learnt.erased(connection, subject)
        async with self._engine.connect() as connection:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await alone.execute(text("VACUUM (FULL) user_key"))
        return Erased(gone.rowcount, count, sessions.rowcount, keys.rowcount > 0, documents)
