"""Runs of the night as rows: each has a state, and every step is one transaction.

So a run that is killed is where its last step left it, and what was in force goes on being told.

    compiling → compiled → judged → in_force | refused;   a night that has nothing new: empty
    what a later one takes the place of, or what changed underneath: replaced

Whoever changes states takes turns; whoever writes down places of sentences holds the documents' turn as well, so that
no place of a document is written once it is gone.
"""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from appliance.errors import RefusedError
from appliance.gateway.brief_lines import standing
from appliance.gateway.brief_values import Brief, check_acceptable, run_of
from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.memory.access import reading
from appliance.memory.briefs import OPEN, digest, fingerprint, rendered
from appliance.memory.schema import brief, brief_line, brief_strike
from appliance.memory.store import TURN

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.brief_values import Run
    from appliance.gateway.conversations import ConversationStore
    from appliance.memory.briefs import Line, State

KEPT = 30
"""Runs of a group that are kept, beside them the one in force and the one that it took the place of."""
_TAKEN_BACK = "taken back"
_BRIEFS = text("SELECT pg_advisory_xact_lock(x'62726566'::int)")


class BriefStore:
    """Reads and changes briefs."""

    def __init__(self, engine: AsyncEngine, conversations: ConversationStore) -> None:
        self._engine = engine
        self._conversations = conversations

    async def in_force(self, group: str) -> Brief | None:
        """What the group is told now."""
        this = (brief.c.group_name == group) & (brief.c.state == "in_force")
        return await self._one(group, this)

    async def one(self, number: uuid.UUID, groups: Collection[str]) -> Brief:
        """The brief of one of ``groups``. Raises ``NotFoundError``."""
        query = select(brief.c.group_name).where(brief.c.id == number, brief.c.group_name.in_(list(groups)))
        async with self._engine.begin() as connection:
            group = (await connection.execute(query)).scalar_one_or_none()
        found = await self._one(group, brief.c.id == number) if group is not None else None
        if found is None:
            raise NotFoundError("there is no such brief")
        return found

    async def listed(self, groups: Collection[str]) -> tuple[Run, ...]:
        """Runs of ``groups``, the latest first."""
        query = select(brief).where(brief.c.group_name.in_(list(groups))).order_by(brief.c.created.desc(), brief.c.id)
        async with self._engine.begin() as connection:
            return tuple(run_of(row) for row in (await connection.execute(query)).all())

    async def latest(self, group: str) -> Run | None:
        """The group's latest run."""
        return next(iter(await self.listed([group])), None)

    async def told_as(self, group: str, said: str) -> bool:
        """Whether the digest ``said`` is that of a brief which was in force for the group, and of which all stands."""
        return await self._stands_in(group, brief.c.state.in_(("in_force", "replaced")), said)

    async def taken_back(self, group: str, said: str) -> bool:
        """Whether the digest ``said`` is that of what stands of a brief which people took back."""
        return await self._stands_in(group, (brief.c.state == "replaced") & (brief.c.cause == _TAKEN_BACK), said)

    async def begin(self, group: str) -> Run:
        """A new run; one of the group's that was left open is replaced, and the oldest are forgotten."""
        async with self._changing() as connection:
            left = (brief.c.group_name == group) & brief.c.state.in_(sorted(OPEN))
            values = {"state": "replaced", "cause": "a later run began", "changed": func.now()}
            await connection.execute(update(brief).where(left).values(values))
            made = insert(brief).values(id=uuid.uuid4(), group_name=group, state="compiling").returning(brief)
            run = run_of((await connection.execute(made)).one())
            newest = select(brief.c.id).where(brief.c.group_name == group).order_by(brief.c.created.desc()).limit(KEPT)
            told = (brief.c.group_name == group) & (brief.c.state == "in_force")
            before = select(brief.c.against).where(told, brief.c.against.is_not(None))
            old = brief.c.id.not_in(newest) & (brief.c.group_name == group) & (brief.c.state != "in_force")
            old &= brief.c.id.not_in(before)
            await connection.execute(delete(brief).where(old))
        return run

    async def compiled(self, run: Run, lines: Sequence[Line], inputs: str, figures: Mapping[str, Any]) -> Brief:
        """Write down where the lines stand. Raises ``RefusedError`` where one does not stand there any more.

        The run stays ``compiling`` then, and the next one chooses anew.
        """
        rows = [{"brief_id": run.id, "ordinal": at, **vars(one.spot)} for at, one in enumerate(lines)]
        async with reading(self._engine, [run.group]) as connection:
            await connection.execute(TURN)
            await connection.execute(_BRIEFS)
            await connection.execute(delete(brief_line).where(brief_line.c.brief_id == run.id))
            if rows:
                await connection.execute(insert(brief_line), rows)
            found = await standing(connection, self._conversations, run.id, run.group)
            if [one.text for one in found] != [one.text for one in lines]:
                raise RefusedError("a document changed while the brief was compiled", "run it again")
            in_force = select(brief.c.id).where(brief.c.group_name == run.group, brief.c.state == "in_force")
            against = (await connection.execute(in_force)).scalar_one_or_none()
            values = {"state": "compiled", "inputs": inputs, "figures": dict(figures), "against": against}
            return Brief(await self._set(connection, run.id, "compiling", **values), found)

    async def note(self, run: Run, state: State | None = None, cause: str | None = None, **values: Any) -> Run:
        """Give the run another state, a cause, figures, or what it took. Raises ``ConflictError`` as ``_set`` does."""
        async with self._changing() as connection:
            return await self._set(connection, run.id, run.state, state=state or run.state, cause=cause, **values)

    async def put_in_force(
        self,
        run: Run,
        *,
        accepted: bool = False,
        within: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> Brief:
        """Have the group told it from the next question on, in place of what it is told.

        ``within`` changes in the same transaction what goes with it; where it raises, nothing is changed.
        Raises ``ConflictError``: where it is no brief that waits; where, by the gate's word alone, something else is in
        force than it was judged against; or where nothing of it stands any more.
        """
        async with reading(self._engine, [run.group]) as connection:
            await connection.execute(_BRIEFS)
            now = run_of((await connection.execute(select(brief).where(brief.c.id == run.id))).one())
            check_acceptable(now)
            if not accepted and now.state != "judged":
                raise ConflictError("the brief was not judged", "accept it by name, or wait for another night")
            former = (brief.c.group_name == run.group) & (brief.c.state == "in_force")
            in_force = (await connection.execute(select(brief.c.id).where(former))).scalar_one_or_none()
            if not accepted and in_force != now.against:
                raise ConflictError("another brief is in force than it was judged against", "the next run judges anew")
            lines = await standing(connection, self._conversations, run.id, run.group)
            if not lines:
                raise ConflictError("nothing of the brief stands any more", "the next run compiles another")
            await connection.execute(update(brief).where(former).values(state="replaced", changed=func.now()))
            if within is not None:
                await within(connection)
            values = {"state": "in_force", "cause": None, "against": in_force}
            return Brief(await self._set(connection, run.id, now.state, **values), lines)

    async def back(self, group: str, number: uuid.UUID) -> Brief | None:
        """Have the group told the brief before ``number``; None: there was none, and it is told nothing.

        Raises ``NotFoundError`` where none is in force, ``ConflictError`` where another is than ``number``.
        """
        async with reading(self._engine, [group]) as connection:
            await connection.execute(_BRIEFS)
            former = (brief.c.group_name == group) & (brief.c.state == "in_force")
            row = (await connection.execute(select(brief).where(former))).one_or_none()
            if row is None:
                raise NotFoundError("no brief is in force")
            if row.id != number:
                raise ConflictError("another brief is in force", "look at it before you take it back")
            values = {"state": "replaced", "cause": _TAKEN_BACK}
            await self._set(connection, row.id, "in_force", **values)
            before = row.against
            known = select(brief.c.state).where(brief.c.id == before, brief.c.group_name == group)
            state = (await connection.execute(known)).scalar_one_or_none() if before is not None else None
            if state is None:
                return None
            run = await self._set(connection, before, state, state="in_force", cause=None)
            return Brief(run, await standing(connection, self._conversations, before, group))

    async def strike(self, number: uuid.UUID, group: str, words: str) -> Line:
        """Tell the group a sentence no more, by its ``fingerprint``: in this brief, an earlier or a later one.

        Raises ``NotFoundError`` where it stands in no such brief of the group.
        """
        async with reading(self._engine, [group]) as connection:
            await connection.execute(TURN)
            await connection.execute(_BRIEFS)
            lines = await standing(connection, self._conversations, number, group)
            line = next((one for one in lines if fingerprint(group, one.spot.source, one.text) == words), None)
            if line is None:
                raise NotFoundError("there is no such line")
            values = {"group_name": group, "source": line.spot.source, "words": words}
            await connection.execute(upsert(brief_strike).values(values).on_conflict_do_nothing())
        return line

    async def _stands_in(self, group: str, this: Any, said: str) -> bool:
        """Whether ``said`` is the digest of what stands of one of the group's runs that ``this`` holds of."""
        query = select(brief.c.id).where(brief.c.group_name == group, this)
        async with reading(self._engine, [group]) as connection:
            found = await connection.execute(query.order_by(brief.c.created.desc()).limit(KEPT))
            for number in found.scalars().all():
                if digest(rendered(await standing(connection, self._conversations, number, group))) == said:
                    return True
        return False

    async def _one(self, group: str, this: Any) -> Brief | None:
        async with reading(self._engine, [group]) as connection:
            row = (await connection.execute(select(brief).where(this))).one_or_none()
            if row is None:
                return None
            return Brief(run_of(row), await standing(connection, self._conversations, row.id, group))

    @staticmethod
    async def _set(connection: AsyncConnection, number: uuid.UUID, was: str, **values: Any) -> Run:
        """Change a run that is in the state ``was``. Raises ``ConflictError`` where another run took its place."""
        this = (brief.c.id == number) & (brief.c.state == was)
        changed = update(brief).where(this).values(values | {"changed": func.now()}).returning(brief)
        row = (await connection.execute(changed)).one_or_none()
        if row is None:
            raise ConflictError("another run took its place", "`memory brief list` shows where it stands")
        return run_of(row)

    @asynccontextmanager
    async def _changing(self) -> AsyncGenerator[AsyncConnection, None]:
        """A transaction in which nobody else changes states."""
        async with self._engine.begin() as connection:
            await connection.execute(_BRIEFS)
            yield connection
