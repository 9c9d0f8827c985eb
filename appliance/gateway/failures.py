"""The queue of failures: what people sent, as experts of their groups see it, and what these rule.

An expert sees what was sent to a group of theirs, never who sent it. A second expert does not see what the first one
ruled before having ruled as well.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select

from appliance.gateway.errors import NotFoundError
from appliance.gateway.schema import failure, ruling
from appliance.gateway.sealing import SealError
from appliance.learning.failures import Failure, Sent, judged_twice, standing

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from typing import Any

    from sqlalchemy import Column, Row, Select
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.pseudonyms import Subject
    from appliance.gateway.sealing import UserSealer

LISTED = 300
"""Newest failures of an expert's groups that are looked at."""
AGAIN = 100
"""Of these, those that others judged and that a further expert is asked about."""
JUDGED = 20_000
_log = structlog.get_logger(__name__)


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
        judged = select(ruling.c.failure_id).where(ruling.c.failure_id == failure.c.id).exists()
        theirs = failure.c.group_name.in_(groups), failure.c.subject != expert
        newest = select(failure).order_by(failure.c.created.desc())
        async with self._engine.begin() as connection:
            rows = list((await connection.execute(newest.where(*theirs, ~judged).limit(LISTED))).all())
            again = await self._wanted_again(connection, groups, expert)
            rows += (await connection.execute(newest.where(*theirs, failure.c.id.in_(again)))).all()
            found = await self._opened(connection, sorted(rows, key=lambda row: row.created, reverse=True)[:LISTED])
        return tuple(one for one in found if one.waits_for(expert))

    @staticmethod
    async def _wanted_again(connection: AsyncConnection, groups: Sequence[str], expert: Subject) -> list[uuid.UUID]:
        """Failures that others judged and that ``expert`` is asked about: a second opinion, or a dispute."""
        said: dict[uuid.UUID, dict[str, str]] = defaultdict(dict)
        for row in (await connection.execute(_rulings(groups, ruling.c.ruling))).all():
            said[row.failure_id][row.subject] = row.word
        wanted = (
            one
            for one, rulings in said.items()
            if expert not in rulings and standing(rulings, twice=judged_twice(one)) != "settled"
        )
        return list(islice(wanted, AGAIN))

    async def one(self, failure_id: uuid.UUID, groups: Sequence[str]) -> Failure:
        """The failure, if it is of ``groups``. Raises ``NotFoundError``."""
        query = select(failure).where(failure.c.id == failure_id, failure.c.group_name.in_(groups))
        async with self._engine.begin() as connection:
            found = await self._opened(connection, (await connection.execute(query)).all())
        if not found:
            raise NotFoundError("there is no such failure")
        return found[0]

    async def ruled(self, failure_id: uuid.UUID) -> tuple[Ruled, ...]:
        """What was ruled on a failure, with the experts' notes."""
        query = select(ruling).where(ruling.c.failure_id == failure_id).order_by(ruling.c.created)
        async with self._engine.begin() as connection:
            rows = (await connection.execute(query)).all()
            sealers = await self._conversations.sealers(connection, {row.subject for row in rows})
        return tuple(Ruled(row.subject, row.ruling, _note(row, sealers)) for row in rows)

    async def judged(self, groups: Sequence[str]) -> list[tuple[str, str, str]]:
        """(failure, expert, first ruling) of the latest in ``groups``, for agreement: nobody had seen others' then."""
        async with self._engine.begin() as connection:
            rows = (await connection.execute(_rulings(groups, ruling.c.first_ruling))).all()
        return [(str(row.failure_id), row.subject, row.word) for row in rows]

    async def _opened(self, connection: AsyncConnection, rows: Sequence[Row[Any]]) -> tuple[Failure, ...]:
        rulings: dict[uuid.UUID, dict[str, str]] = defaultdict(dict)
        said = select(ruling).where(ruling.c.failure_id.in_([row.id for row in rows]))
        for row in (await connection.execute(said)).all():
            rulings[row.failure_id][row.subject] = row.ruling
        sealers = await self._conversations.sealers(connection, {row.subject for row in rows})
        return await asyncio.to_thread(_opened_all, rows, sealers, rulings)


def _note(row: Row[Any], sealers: Mapping[str, UserSealer]) -> str | None:
    """What the expert wrote; None as well where their key is gone."""
    if row.note is None or row.subject not in sealers:
        return None
    try:
        return sealers[row.subject].unseal(row.note, bound_to=f"note:{row.failure_id}:{row.subject}")
    except SealError:
        return None


def _rulings(groups: Sequence[str], word: Column[str]) -> Select[Any]:
    """(failure, expert, ``word``) of the latest rulings in ``groups``, latest first."""
    return (
        select(ruling.c.failure_id, ruling.c.subject, word.label("word"))
        .join(failure, failure.c.id == ruling.c.failure_id)
        .where(failure.c.group_name.in_(groups))
        .order_by(ruling.c.created.desc())
        .limit(JUDGED)
    )


def _opened_all(
    rows: Sequence[Row[Any]], sealers: Mapping[str, UserSealer], rulings: Mapping[uuid.UUID, dict[str, str]]
) -> tuple[Failure, ...]:
    """Those that open: one whose key is gone, or was changed, never stops the others."""
    found = []
    for row in rows:
        try:
            sent = Sent.read(sealers[row.subject].unseal(row.sealed, bound_to=f"failure:{row.id}"))
        except (KeyError, SealError):
            _log.warning("a failure does not open", id=str(row.id))
            continue
        about = (row.id, row.subject, row.group_name, row.model, row.created)
        found.append(Failure(*about, sent, rulings.get(row.id, {})))
    return tuple(found)
