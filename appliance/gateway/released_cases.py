"""Cases of a release at a site: offered to groups, in force once somebody accepted them, retired with a later release.

What a release carries was learnt elsewhere, and may be wrong here. So each case comes in as ``offered``, a row for each
group it is offered to, and is asked of nobody. An expert of the group accepts it on their page, an operator by command.
A case that was declined or retired here is not offered again. A later release retires what it says is asked nowhere any
more, among the cases that came so: never the site's own, also not those that an expert made of an offered one.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from appliance.gateway import gold_rows
from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.gateway.gold_cases import CONTRADICTING, WRITING, speaking_against, there
from appliance.gateway.gold_rows import ALIVE, OFFERED, RELEASE
from appliance.gateway.schema import gold_case
from appliance.learning.cases import Case

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.gold_rows import Kept
    from appliance.learning.cases import Content
    from appliance.learning.exchange.released import Released


class ReleasedCases:
    """Offers, accepts and retires."""

    def __init__(self, engine: AsyncEngine, conversations: ConversationStore) -> None:
        self._engine = engine
        self._conversations = conversations

    async def offer(self, released: Released, groups: Sequence[str]) -> dict[str, int]:
        """Offer each case to each of ``groups``, unless it was before or is there; retire what the release retires."""
        gone = set(released.retired)
        done = {"offered": 0, "unchanged": 0, "retired": 0}
        async with self._writing() as connection:
            known = await gold_rows.read(connection, self._conversations)
            for one in known:
                if one.released in gone and one.state != "retired":
                    await gold_rows.set_state(connection, one.case, "retired")
                    done["retired"] += 1
            alive = {_asked(one.case.content, group) for one in known if one.state in ALIVE for group in _groups(one)}
            before = await _before(connection)
            for line in released.cases:
                for group in groups:
                    content = line.case.content((group,))
                    if (line.digest, group) in before or _asked(content, group) in alive or line.digest in gone:
                        done["unchanged"] += 1
                        continue
                    case = Case(uuid.uuid4(), 1, content)
                    await gold_rows.add(
                        connection, self._conversations, case, OFFERED, RELEASE, None, released=line.digest
                    )
                    done["offered"] += 1
        return done

    async def groups(self) -> tuple[str, ...]:
        """Groups that something was offered to, by name."""
        async with self._engine.begin() as connection:
            return tuple(sorted({group for _, group in await _before(connection)}))

    async def accept(self, ids: Collection[uuid.UUID]) -> tuple[Case, ...]:
        """Put offered cases in force, all of them or none.

        Raises ``NotFoundError`` for one that is not offered, ``ConflictError`` where the site says otherwise.
        """
        async with self._writing() as connection:
            known = await gold_rows.read(connection, self._conversations, None, (*ALIVE, OFFERED))
            offered = {one.case.id: one for one in known if one.state == OFFERED and one.case.id in ids}
            if missing := set(ids) - set(offered):
                raise NotFoundError(f"{min(map(str, missing))} is not offered")
            alive = [one for one in known if one.state in ALIVE]
            for one in offered.values():
                if there(alive, one.case.content) is not None:  # the site has the very case itself: that one is asked
                    await gold_rows.set_state(connection, one.case, "retired")
                    continue
                others = await asyncio.to_thread(speaking_against, alive, one.case.content)
                if others:
                    raise ConflictError(
                        f"{one.case.id} contradicts {len(others)} cases of this site",
                        "an expert of the group decides, on the page /expert",
                        code=CONTRADICTING,
                    )
                await gold_rows.set_state(connection, one.case, "active")
                alive.append(one)
        return tuple(one.case for one in offered.values())

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[AsyncConnection, None]:
        async with self._engine.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(WRITING)))
            yield connection


def _groups(one: Kept) -> tuple[str, ...]:
    return one.case.content.groups


def _asked(content: Content, group: str) -> str:
    """What is asked of one group, as a digest: a case of several groups is asked of each."""
    return content.model_copy(update={"groups": (group,)}).digest


async def _before(connection: AsyncConnection) -> set[tuple[str, str]]:
    """Which cases were ever offered to which groups, whatever became of them."""
    query = select(gold_case.c.released, gold_case.c.groups).where(gold_case.c.released.is_not(None))
    return {(row.released, group) for row in (await connection.execute(query)).all() for group in row.groups}
