"""Gold cases as they are kept: versions side by side, none changed; whoever adds or decides does so one at a time.

A case in a person's own words is sealed under that person's key and goes with them; any other under the key of the
site. The state of a version is all that changes: ``active``; ``blocked`` while it contradicts another; ``retired``; and
``offered`` while it came with a release and nobody of the site accepted it (``released_cases``).
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from appliance.gateway import gold_rows
from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.gateway.gold_rows import ALIVE, OFFERED, Kept
from appliance.learning.cases import Case, Compared

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.gold_rows import Origin
    from appliance.learning.cases import Content

    Enter = Callable[["Made"], Awaitable[object]]

CONTRADICTING = "contradicting_cases"
NOT_YOURS = "not_yours_to_decide"
WRITING = 0x5056_6C63  # any fixed number: gateways and commands take turns on it


@dataclass(frozen=True)
class Made:
    """What came of adding or deciding. ``new``: it was not there before; ``changed``: it is in force only now."""

    case: Case
    new: bool = False
    changed: bool = False
    retired: tuple[Case, ...] = ()


class CaseStore:
    """Reads and adds versions of cases."""

    def __init__(self, engine: AsyncEngine, conversations: ConversationStore) -> None:
        self._engine = engine
        self._conversations = conversations

    async def current(self, groups: Collection[str] | None = None, states: Sequence[str] = ()) -> tuple[Kept, ...]:
        """The latest version of each case, oldest first: of ``groups``, of ``states``, where they are given."""
        async with self._engine.begin() as connection:
            return await gold_rows.read(connection, self._conversations, groups, states)

    async def add(self, content: Content, author: str, *, decided: bool = False) -> Made:
        """``make`` in a transaction of its own, of nobody's words."""
        async with self._writing() as connection:
            return await self.make(connection, content, author, decided=decided)

    async def make(  # noqa: PLR0913 - what a case is made of, by keyword
        self,
        connection: AsyncConnection,
        content: Content,
        author: str,
        *,
        origin: Origin | None = None,
        decided: bool = False,
        speaking: int = 0,
        groups: Collection[str] | None = None,
    ) -> Made:
        """Put a case in force, unless it is, and retire those that it contradicts if that was ``decided``.

        Nobody else adds or decides from here to the end of the transaction: of two who contradict each other, one is
        second. ``speaking``: how much else speaks against it. ``groups``: whose cases may be retired; None: all.

        Raises ``ConflictError``, having changed nothing: where something speaks against it and nobody decided, and
        where a case that it contradicts is another group's as well.
        """
        await _lock(connection)
        known = await gold_rows.read(connection, self._conversations, content.groups, ALIVE)
        same = next((one for one in known if one.case.content.digest == content.digest), None)
        if same is not None and same.state == "active":
            return Made(same.case)
        against = await asyncio.to_thread(speaking_against, known, content)
        if (count := len(against) + speaking) and not decided:
            raise ConflictError(f"{count} others contradict this", "look at them, then decide", code=CONTRADICTING)
        await self._retire(connection, against, groups)
        case = same.case if same is not None else Case(uuid.uuid4(), 1, content)
        if same is not None:
            await gold_rows.set_state(connection, case, "active")
        else:
            await gold_rows.add(connection, self._conversations, case, "active", author, origin)
        return Made(case, new=same is None, changed=True, retired=tuple(one.case for one in against))

    async def take_in(self, contents: Iterable[Content], author: str) -> dict[str, int]:
        """Add many at once, by file: those that are there are left, those that contradict are blocked, both of them.

        They are held against each other, and against what there is, before anybody else has to wait; in their turn,
        only against what came in between.
        """
        given = [Compared(content) for content in contents]
        among = [[at for at in range(end) if given[at].contradicts(one)] for end, one in enumerate(given)]
        seen = await self.current(None, ALIVE)
        against = await asyncio.to_thread(_speaking, seen, given)
        done = {"new": 0, "unchanged": 0, "blocked": 0}
        async with self._writing() as connection:
            alive = await gold_rows.read(connection, self._conversations, None, ALIVE)
            there = {_version(one.case) for one in alive}
            known = {_version(one.case) for one in seen}
            fresh = [one for one in alive if _version(one.case) not in known]
            late = await asyncio.to_thread(_speaking, fresh, given)
            digests = {one.case.content.digest for one in alive}
            made: dict[int, Case] = {}
            for index, compared in enumerate(given):
                digest = compared.content.digest
                if digest in digests:
                    done["unchanged"] += 1
                    continue
                digests.add(digest)
                others = [case for case in against[index] + late[index] if _version(case) in there]
                others += [made[at] for at in among[index] if at in made]
                for case in others:
                    await gold_rows.set_state(connection, case, "blocked")
                case, state = Case(uuid.uuid4(), 1, compared.content), "blocked" if others else "active"
                await gold_rows.add(connection, self._conversations, case, state, author, None)
                made[index] = case
                done["blocked" if others else "new"] += 1
        return done

    async def supersede(self, case_id: uuid.UUID, content: Content, author: str) -> Case:
        """Add the next version; of a case in a person's words, it stays in them.

        Raises ``NotFoundError``, or ``ConflictError`` for a contradiction with another.
        """
        async with self._writing() as connection:
            known = await gold_rows.read(connection, self._conversations, None, ALIVE)
            former = _by_id(known, case_id)
            if speaking_against((one for one in known if one.case.id != case_id), content):
                raise ConflictError("the case contradicts others", "decide between them first", code=CONTRADICTING)
            await gold_rows.set_state(connection, former.case, "retired")
            case = Case(case_id, former.case.version + 1, content)
            await gold_rows.add(connection, self._conversations, case, "active", author, former.origin)
        return case

    async def retire(self, case_id: uuid.UUID) -> Case:
        """Ask it no more; what is only offered is declined. Raises ``NotFoundError``."""
        async with self._writing() as connection:
            alive = await gold_rows.read(connection, self._conversations, None, (*ALIVE, OFFERED))
            found = _by_id(alive, case_id)
            await gold_rows.set_state(connection, found.case, "retired")
        return found.case

    async def decide(self, case_id: uuid.UUID, groups: Collection[str], enter: Enter) -> Made:
        """Keep a blocked or offered case and retire those that it contradicts; ``enter`` logs it before that holds.

        An offered one that the groups have already gives way to that one, which is in force from then on.

        Raises ``NotFoundError``; ``ConflictError`` where one of them is another group's as well.
        """
        async with self._writing() as connection:
            blocked = await gold_rows.read(connection, self._conversations, groups, ("blocked", OFFERED))
            kept = _by_id(blocked, case_id)
            known = await gold_rows.read(connection, self._conversations, kept.case.content.groups, ALIVE)
            others = [one for one in known if one.case.id != case_id]
            same = there(others, kept.case.content) if kept.state == OFFERED else None
            against = await asyncio.to_thread(speaking_against, others, kept.case.content)
            await self._retire(connection, [kept, *against], groups, of=against)
            retired, stands = [one.case for one in against], kept.case
            if same is not None:
                await gold_rows.set_state(connection, kept.case, "retired")
                retired, stands = [*retired, kept.case], same.case
            await gold_rows.set_state(connection, stands, "active")
            changed = same is None or same.state != "active"
            made = Made(stands, changed=changed, retired=tuple(retired))
            await enter(made)
        return made

    @staticmethod
    async def _retire(
        connection: AsyncConnection,
        judged: Sequence[Kept],
        groups: Collection[str] | None,
        *,
        of: Sequence[Kept] | None = None,
    ) -> None:
        """Retire those ``of`` ``judged`` (all) whose groups are all within ``groups``; else nothing."""
        foreign = {name for one in judged for name in one.case.content.groups} - set(groups or ())
        if groups is not None and foreign:
            named = ", ".join(sorted(foreign))
            raise ConflictError(f"an expert of {named} has to decide", "tell them", code=NOT_YOURS)
        for one in judged if of is None else of:
            await gold_rows.set_state(connection, one.case, "retired")

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[AsyncConnection, None]:
        """A transaction in which nobody else adds or decides."""
        async with self._engine.begin() as connection:
            await _lock(connection)
            yield connection


async def _lock(connection: AsyncConnection) -> None:
    await connection.execute(select(func.pg_advisory_xact_lock(WRITING)))


def there(known: Iterable[Kept], content: Content) -> Kept | None:
    """Which of ``known`` asks and expects what ``content`` does, of all its groups and maybe of more."""
    groups = set(content.groups)
    for one in known:
        other = one.case.content
        if groups <= set(other.groups) and other.model_copy(update={"groups": content.groups}) == content:
            return one
    return None


def speaking_against(known: Iterable[Kept], content: Content) -> list[Kept]:
    """Which of ``known`` contradict ``content``."""
    mine = Compared(content)
    return [one for one in known if Compared(one.case.content).contradicts(mine)]


def _speaking(kept: Iterable[Kept], given: Sequence[Compared]) -> list[list[Case]]:
    """For each of ``given``, which of ``kept`` contradict it."""
    known = [(Compared(one.case.content), one.case) for one in kept]
    return [[case for other, case in known if other.contradicts(one)] for one in given]


def _version(case: Case) -> tuple[uuid.UUID, int]:
    return case.id, case.version


def _by_id(known: Iterable[Kept], case_id: uuid.UUID) -> Kept:
    for one in known:
        if one.case.id == case_id:
            return one
    raise NotFoundError("there is no such case")
