"""Rulings of experts: one transaction for the ruling and the case that comes of it, entered before it ends.

Order: keys of both people, so that neither can be erased meanwhile; the failure, so that it cannot be taken back; the
ruling; then, one at a time in the whole site, the case. The ruling is kept even where the case is refused: whoever is
told that others said otherwise has said their own before. Their first ruling stays beside their latest, for agreement.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from appliance.gateway import expert_answers
from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.gateway.gold_rows import Origin
from appliance.gateway.pseudonyms import Subject
from appliance.gateway.schema import failure, ruling
from appliance.learning.failures import against

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Literal, Protocol

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.callers import Caller
    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.failures import FailureStore
    from appliance.gateway.gold_cases import CaseStore, Made
    from appliance.gateway.sealing import UserSealer
    from appliance.learning.cases import Content
    from appliance.learning.failures import Failure

    class Enter(Protocol):
        """Puts an act into the log."""

        def __call__(
            self, action: Literal["create", "update", "delete"], what: Literal["ruling", "case", "answer"], target: str
        ) -> Awaitable[None]:
            """Returns once it is durable. Raises ``NotReadyError``."""


@dataclass(frozen=True)
class Said:
    """What an expert says of a failure. ``decided``: the case of ``content`` stands against what contradicts it.

    ``answer`` is for whoever sent it; None leaves what they answered before.
    """

    ruling: str
    note: str | None = None
    content: Content | None = None
    decided: bool = False
    answer: str | None = None


class Rulings:
    """Keeps rulings."""

    def __init__(
        self, engine: AsyncEngine, conversations: ConversationStore, failures: FailureStore, cases: CaseStore
    ) -> None:
        self._engine, self._conversations, self._failures, self._cases = engine, conversations, failures, cases

    async def rule(self, expert: Caller, found: Failure, said: Said, enter: Enter) -> Made | None:
        """Keep the ruling, and the case.

        Raises ``NotFoundError`` when the failure was taken back, or somebody erased, meanwhile; ``ConflictError`` when
        the ruling is kept and the case is not.
        """
        others = 0
        if said.content is not None and not said.decided:
            around = await self._failures.of_groups([found.group])
            others = len(await asyncio.to_thread(against, found, around))
        async with self._engine.begin() as connection:
            await self._conversations.sealer(connection, expert.subject)  # a key for whoever has none yet
        refused = made = None
        async with self._engine.begin() as connection:
            sealers = await self._held(connection, expert.subject, found)
            earlier = await _earlier(connection, found)
            known = expert.subject in earlier
            await enter("update" if known else "create", "ruling", str(found.id))
            await _keep(connection, sealers[expert.subject], expert.subject, found, said)
            if said.answer is not None:
                await _answer(connection, sealers[found.subject], expert.subject, found, said.answer, enter)
            if said.content is not None:
                others += sum(word != said.ruling for one, word in earlier.items() if one != expert.subject)
                try:
                    made = await self._made(connection, expert, found, said, others, sealers[found.subject])
                except ConflictError as error:
                    refused = error
                else:
                    await entered(made, enter)
        if refused is not None:
            raise refused
        return made

    async def _held(self, connection: AsyncConnection, expert: Subject, found: Failure) -> dict[str, UserSealer]:
        sealers = await self._conversations.sealers(connection, {expert, found.subject}, keep=True)
        kept = select(failure.c.id).where(failure.c.id == found.id).with_for_update()
        if len(sealers) != len({expert, found.subject}) or (await connection.execute(kept)).one_or_none() is None:
            raise NotFoundError("there is no such failure")
        return sealers

    async def _made(  # noqa: PLR0913, PLR0917 - private; one call
        self,
        connection: AsyncConnection,
        expert: Caller,
        found: Failure,
        said: Said,
        others: int,
        sealer: UserSealer,
    ) -> Made:
        content = said.content
        assert content is not None
        verbatim = found.sent.quoted_by(content.question, content.expected)
        origin = Origin(Subject(found.subject), found.id, sealer.digest(found.sent.question), verbatim)
        return await self._cases.make(
            connection,
            content,
            expert.subject,
            origin=origin,
            decided=said.decided,
            speaking=others,
            groups=expert.groups,
        )


async def entered(made: Made, enter: Enter) -> None:
    """Enter what was made of a case, and each that was retired for it."""
    if made.changed:
        await enter("create" if made.new else "update", "case", f"{made.case.id} {made.case.version}")
    for one in made.retired:
        await enter("delete", "case", f"{one.id} {one.version}")


async def _answer(  # noqa: PLR0913, PLR0917 - private; one call
    connection: AsyncConnection, sealer: UserSealer, expert: Subject, found: Failure, text: str, enter: Enter
) -> None:
    """Keep an answer to whoever asked, entered first; the same once more is nothing new."""
    before = (await expert_answers.written(connection, sealer, found)).get(expert)
    if text != before:
        await enter("create" if before is None else "update", "answer", str(found.id))
        await expert_answers.keep(connection, sealer, found, expert, text)


async def _earlier(connection: AsyncConnection, found: Failure) -> dict[str, str]:
    query = select(ruling.c.subject, ruling.c.ruling).where(ruling.c.failure_id == found.id)
    return {row.subject: row.ruling for row in (await connection.execute(query)).all()}


async def _keep(connection: AsyncConnection, sealer: UserSealer, expert: Subject, found: Failure, said: Said) -> None:
    note = sealer.seal(said.note, bound_to=f"note:{found.id}:{expert}") if said.note else None
    values = {"ruling": said.ruling, "note": note, "created": func.now()}
    statement = upsert(ruling).values(failure_id=found.id, subject=expert, first_ruling=said.ruling, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["failure_id", "subject"], set_=values))
