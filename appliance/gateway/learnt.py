"""What the loop holds of one person: what they sent and were answered, what they ruled, cases in their words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from appliance.gateway.schema import expert_answer, failure, gold_case, message, ruling

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from appliance.gateway.pseudonyms import Subject
    from appliance.gateway.sealing import UserSealer

ERASED = "erased"
_NOBODYS = {"origin": None, "origin_digest": None, "failure_id": None}


async def held(connection: AsyncConnection, sealer: UserSealer, subject: Subject) -> dict[str, Any]:
    """All of it, opened, as JSON-ready data; of cases that name them as origin or author, which."""
    sent = (await connection.execute(select(failure).where(failure.c.subject == subject))).all()
    ruled = (await connection.execute(select(ruling).where(ruling.c.subject == subject))).all()
    theirs = (gold_case.c.sealed_for == subject) | (gold_case.c.origin == subject) | (gold_case.c.author == subject)
    cases = (await connection.execute(select(gold_case).where(theirs))).all()
    told = expert_answer.c.subject == subject, expert_answer.c.author == subject
    answers = (await connection.execute(select(expert_answer).where(told[0] | told[1]))).all()
    return {
        "sent": [
            {
                "id": row.id,
                "group": row.group_name,
                "model": row.model,
                "created": row.created,
                **json.loads(sealer.unseal(row.sealed, bound_to=f"failure:{row.id}")),
            }
            for row in sent
        ],
        "rulings": [
            {
                "failure": row.failure_id,
                "ruling": row.ruling,
                "created": row.created,
                "note": sealer.unseal(row.note, bound_to=f"note:{row.failure_id}:{subject}") if row.note else None,
            }
            for row in ruled
        ],
        "expert_answers": [
            {
                "failure": row.failure_id,
                "created": row.created,
                "seen": row.seen,
                "author": row.author == subject,
                "content": sealer.unseal(row.sealed, bound_to=f"expert-answer:{row.id}")
                if row.subject == subject
                else None,
            }
            for row in answers
        ],
        "cases": [
            {
                "id": row.id,
                "version": row.version,
                "state": row.state,
                "origin": row.origin == subject,
                "author": row.author == subject,
                "content": json.loads(sealer.unseal(row.sealed, bound_to=f"case:{row.id}:{row.version}"))
                if row.sealed_for == subject
                else None,
            }
            for row in cases
        ],
    }


async def erased(connection: AsyncConnection, subject: Subject) -> None:
    """Destroy it. A case that an expert put into other words stays, and names nobody any more.

    What experts answered them goes with what they had sent; what they answered others as an expert is those others'.
    """
    await connection.execute(delete(failure).where(failure.c.subject == subject))
    await connection.execute(delete(ruling).where(ruling.c.subject == subject))
    await connection.execute(update(expert_answer).where(expert_answer.c.author == subject).values(author=ERASED))
    await connection.execute(delete(gold_case).where(gold_case.c.sealed_for == subject))
    await connection.execute(update(gold_case).where(gold_case.c.origin == subject).values(_NOBODYS))
    await connection.execute(update(gold_case).where(gold_case.c.author == subject).values(author=ERASED))


async def sent_before(connection: AsyncConnection, conversation_id: uuid.UUID) -> tuple[uuid.UUID, ...]:
    """Answers of a conversation that are gone, because their question was asked again, and that experts still see."""
    gone = ~select(message.c.id).where(message.c.id == failure.c.message_id).exists()
    query = select(failure.c.message_id).where(failure.c.conversation_id == conversation_id, gone)
    return tuple((await connection.execute(query.order_by(failure.c.created))).scalars().all())


async def withdrawn(connection: AsyncConnection, subject: Subject, which: ColumnElement[bool]) -> bool:
    """Take back what ``subject`` sent, as far as it is ``which``: cases in their words go, others name them no more.

    Whoever rules on it at this moment was first, or finds it gone. Returns whether there was anything.
    """
    mine = select(failure.c.id).where(failure.c.subject == subject, which).order_by(failure.c.id).with_for_update()
    ids = (await connection.execute(mine)).scalars().all()
    if not ids:
        return False
    of_these = gold_case.c.failure_id.in_(ids)
    await connection.execute(delete(gold_case).where(of_these, gold_case.c.sealed_for == subject))
    await connection.execute(update(gold_case).where(of_these).values(_NOBODYS))
    await connection.execute(delete(failure).where(failure.c.id.in_(ids)))
    return True
