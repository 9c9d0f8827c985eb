"""Gold cases as they are kept: versions side by side, none changed, each sealed under the key of whose words it holds.

A case in a person's own words is sealed under that person's key and goes with them; any other under the key of the
site. The state of a version is all that changes: ``active``; ``blocked`` while it contradicts another; ``retired``.
"""

from __future__ import annotations

import json
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.gateway.pseudonyms import Subject
from appliance.gateway.schema import gold_case
from appliance.learning.cases import Case, Content, contradict
from appliance.learning.failures import OWN_WORDS
from appliance.learning.words import nearness

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
    from datetime import datetime
    from typing import Any

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.sealing import UserSealer

SITE = Subject("site")
"""Whose key seals what is nobody's own words."""
CONTRADICTING = "contradicting_cases"
_WRITING = 0x5056_6C63  # any fixed number: gateways and commands take turns on it


@dataclass(frozen=True)
class Origin:
    """Whose failure a case came from: pseudonym, and digest of the question. ``verbatim``: still in their words."""

    subject: Subject
    digest: str
    verbatim: bool


@dataclass(frozen=True)
class Kept:
    """The latest version of a case."""

    case: Case
    state: str
    author: str
    origin: str | None
    origin_digest: str | None
    sealed_for: str
    created: datetime

    def origin_of(self, content: Content) -> Origin | None:
        """Where the next version came from, which says ``content``."""
        if self.origin is None or self.origin_digest is None:
            return None
        own = self.sealed_for == self.origin and nearness(content.question, self.case.content.question) >= OWN_WORDS
        return Origin(Subject(self.origin), self.origin_digest, own)


class CaseStore:
    """Reads and adds versions of cases."""

    def __init__(self, engine: AsyncEngine, conversations: ConversationStore) -> None:
        self._engine = engine
        self._conversations = conversations

    async def current(self, groups: Collection[str] | None = None, states: Sequence[str] = ()) -> tuple[Kept, ...]:
        """The latest version of each case, oldest first: of ``groups``, of ``states``, where they are given."""
        async with self._engine.begin() as connection:
            found = await self._current(connection)
        return tuple(
            one
            for one in found
            if (groups is None or set(one.case.content.groups) & set(groups)) and (not states or one.state in states)
        )

    async def add(
        self, content: Content, author: str, *, origin: Origin | None = None, decided: bool = False
    ) -> tuple[Case, tuple[Case, ...]]:
        """Add a new case, unless it is there, and retire those that it contradicts if that was ``decided``.

        Raises ``ConflictError`` where it contradicts one and nobody decided: nothing is kept.
        """
        async with self._writing() as connection:
            known = await self._current(connection)
            for one in known:
                if one.state != "retired" and one.case.content.digest == content.digest:
                    return one.case, ()
            against = self._against(known, content)
            if against and not decided:
                raise ConflictError(
                    f"the case contradicts {len(against)} others",
                    "look at both, then decide",
                    code=CONTRADICTING,
                )
            for one in against:
                await self._set_state(connection, one.case, "retired")
            case = Case(uuid.uuid4(), 1, content)
            await self._insert(connection, case, "active", author, origin)
        return case, tuple(one.case for one in against)

    async def take_in(self, contents: Iterable[Content], author: str) -> dict[str, int]:
        """Add many at once, by file: those that are there are left, those that contradict are blocked, both of them."""
        done = {"new": 0, "unchanged": 0, "blocked": 0}
        async with self._writing() as connection:
            known = list(await self._current(connection))
            for content in contents:
                alive = [one for one in known if one.state != "retired"]
                if any(one.case.content.digest == content.digest for one in alive):
                    done["unchanged"] += 1
                    continue
                against = self._against(alive, content)
                for one in against:
                    await self._set_state(connection, one.case, "blocked")
                case = Case(uuid.uuid4(), 1, content)
                state = "blocked" if against else "active"
                kept = await self._insert(connection, case, state, author, None)
                known.append(kept)
                done["blocked" if against else "new"] += 1
        return done

    async def supersede(self, case_id: uuid.UUID, content: Content, author: str) -> Case:
        """Add the next version. Raises ``NotFoundError``, or ``ConflictError`` for a contradiction with another."""
        async with self._writing() as connection:
            known = await self._current(connection)
            former = _by_id(known, case_id)
            others = [one for one in known if one.case.id != case_id]
            if self._against(others, content):
                raise ConflictError("the case contradicts others", "decide between them first", code=CONTRADICTING)
            await self._set_state(connection, former.case, "retired")
            case = Case(case_id, former.case.version + 1, content)
            await self._insert(connection, case, "active", author, former.origin_of(content))
        return case

    async def retire(self, case_id: uuid.UUID) -> Case:
        """Ask it no more. Raises ``NotFoundError``."""
        async with self._writing() as connection:
            found = _by_id(await self._current(connection), case_id)
            await self._set_state(connection, found.case, "retired")
        return found.case

    async def decide(self, case_id: uuid.UUID) -> tuple[Case, ...]:
        """Keep a blocked case and retire those that it contradicts. Raises ``NotFoundError``."""
        async with self._writing() as connection:
            known = await self._current(connection)
            kept = _by_id(known, case_id)
            others = [one for one in known if one.case.id != case_id]
            against = self._against(others, kept.case.content)
            for one in against:
                await self._set_state(connection, one.case, "retired")
            await self._set_state(connection, kept.case, "active")
        return tuple(one.case for one in against)

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[AsyncConnection, None]:
        """A transaction in which nobody else adds or decides: of two who contradict each other, one is second."""
        async with self._engine.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(_WRITING)))
            yield connection

    @staticmethod
    def _against(known: Iterable[Kept], content: Content) -> list[Kept]:
        return [one for one in known if one.state != "retired" and contradict(one.case.content, content)]

    async def _current(self, connection: AsyncConnection) -> tuple[Kept, ...]:
        query = select(gold_case).order_by(gold_case.c.id, gold_case.c.version.desc()).ext(distinct_on(gold_case.c.id))
        rows = (await connection.execute(query)).all()
        sealers: dict[str, UserSealer] = {}
        for subject in {row.sealed_for for row in rows}:
            sealers[subject] = await self._conversations.sealer(connection, Subject(subject))
        found = [_opened(row, sealers[row.sealed_for]) for row in rows]
        return tuple(sorted(found, key=lambda one: (one.created, one.case.id)))

    async def _insert(
        self, connection: AsyncConnection, case: Case, state: str, author: str, origin: Origin | None
    ) -> Kept:
        sealed_for = origin.subject if origin is not None and origin.verbatim else SITE
        sealer = await self._conversations.sealer(connection, sealed_for)
        values = {
            "id": case.id,
            "version": case.version,
            "state": state,
            "groups": list(case.content.groups),
            "vital": case.content.vital,
            "digest": case.content.digest,
            "sealed": sealer.seal(case.content.model_dump_json(), bound_to=f"case:{case.id}:{case.version}"),
            "sealed_for": sealed_for,
            "origin": origin.subject if origin is not None else None,
            "origin_digest": origin.digest if origin is not None else None,
            "author": author,
        }
        row = (await connection.execute(insert(gold_case).values(values).returning(gold_case))).one()
        return _opened(row, sealer)

    @staticmethod
    async def _set_state(connection: AsyncConnection, case: Case, state: str) -> None:
        this = (gold_case.c.id == case.id) & (gold_case.c.version == case.version)
        await connection.execute(update(gold_case).where(this).values(state=state))


def _by_id(known: Iterable[Kept], case_id: uuid.UUID) -> Kept:
    for one in known:
        if one.case.id == case_id and one.state != "retired":
            return one
    raise NotFoundError("there is no such case")


def _opened(row: Row[Any], sealer: UserSealer) -> Kept:
    said = json.loads(sealer.unseal(row.sealed, bound_to=f"case:{row.id}:{row.version}"))
    case = Case(row.id, row.version, Content.model_validate(said))
    return Kept(case, row.state, row.author, row.origin, row.origin_digest, row.sealed_for, row.created)
