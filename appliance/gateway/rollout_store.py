"""Rollouts and what is counted of them, in the database. Whoever decides on one holds its row meanwhile.

What ends a rollout takes the rows of its answers away in the same transaction and leaves their sums.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from appliance.gateway.database import at_once
from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.gateway.rollout_values import Rollout, rollout_of
from appliance.gateway.schema import rollout, rollout_answer
from appliance.learning.comparing import Counted
from appliance.memory.schema import brief

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.rollout_values import State

TAKEN_BACK = "taken back"
_RUNNING = rollout.c.state == "running"


class RolloutStore:
    """Reads and changes rollouts. Raises SQLAlchemy's errors; whoever calls says what a silent database means."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._at_once = at_once(engine)

    async def running(self, group: str) -> Rollout | None:
        """The group's rollout that runs."""
        async with self._at_once.connect() as connection:
            row = (
                await connection.execute(select(rollout).where(rollout.c.group_name == group, _RUNNING))
            ).one_or_none()
        return rollout_of(row) if row is not None else None

    async def listed(self, groups: Collection[str], most: int = 50) -> tuple[Rollout, ...]:
        """Rollouts of ``groups``, those that run first, then the latest."""
        query = select(rollout).where(rollout.c.group_name.in_(list(groups)))
        ordered = query.order_by((~_RUNNING), rollout.c.created.desc(), rollout.c.id).limit(most)
        async with self._engine.connect() as connection:
            return tuple(rollout_of(row) for row in (await connection.execute(ordered)).all())

    async def all_running(self) -> tuple[Rollout, ...]:
        """Every rollout that runs."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(rollout).where(_RUNNING).order_by(rollout.c.created))).all()
        return tuple(rollout_of(row) for row in rows)

    async def check_none_runs(self, group: str) -> None:
        """Raise ``ConflictError`` where a rollout runs in ``group``."""
        if await self.running(group) is not None:
            raise _runs_already(group)

    async def begin(self, made: Rollout) -> Rollout:
        """Have it run from the next question on. Raises ``ConflictError`` where one of the group runs already."""
        values = {"id": made.id, "group_name": made.group, "kind": made.kind, "former": made.former}
        values |= {"change": made.change, "stages": list(made.stages), "stage": made.stage}
        values |= {"state": "running", "begun_by": made.begun_by}
        try:
            async with self._engine.begin() as connection:
                new = insert(rollout).values(values).returning(rollout)
                return rollout_of((await connection.execute(new)).one())
        except IntegrityError as error:
            raise _runs_already(made.group) from error

    @asynccontextmanager
    async def held(self, number: uuid.UUID, *, wait: bool = True) -> AsyncGenerator[Held, None]:
        """The rollout in a transaction in which nobody else decides on it; what is counted goes on being counted.

        Raises ``NotFoundError`` where it does not run any more, or where somebody has it and ``wait`` is false.
        """
        query = (
            select(rollout)
            .where(rollout.c.id == number, _RUNNING)
            .with_for_update(skip_locked=not wait, key_share=True)
        )
        async with self._engine.begin() as connection:
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise NotFoundError("the rollout does not run any more", "`sovereign learn rollout status` shows it")
            yield Held(connection, rollout_of(row))

    async def rows(self, found: Rollout) -> list[Counted]:
        """What was counted in the rollout's present stage, in the order of time."""
        async with self._engine.connect() as connection:
            return await _rows(connection, found)

    async def note(self, values: Mapping[str, Any], most: int) -> None:
        """Count an answer, if its rollout runs still. Of a person's in the stage the first and last ``most`` are kept.

        By the first they are observed; by the last it is seen that answers fail.
        """
        answers = rollout_answer
        mine = (
            (answers.c.rollout_id == values["rollout_id"])
            & (answers.c.stage == values["stage"])
            & (answers.c.subject == values["subject"])
        )
        ordered = select(answers.c.request_id).where(mine).order_by(answers.c.at, answers.c.request_id)
        middle = ordered.offset(most).limit(1).scalar_subquery()
        there = select(rollout.c.id).where(rollout.c.id == values["rollout_id"], _RUNNING)
        async with self._engine.begin() as connection:
            if (await connection.execute(there)).one_or_none() is None:
                return
            count = select(func.count()).select_from(answers).where(mine)
            if (await connection.execute(count)).scalar_one() >= 2 * most:
                await connection.execute(delete(answers).where(answers.c.request_id == middle))
            await connection.execute(insert(answers).values(dict(values)))

    async def tidy(self) -> None:
        """Take away what was counted of rollouts at the very moment at which they ended."""
        ended = select(rollout.c.id).where(~_RUNNING)
        async with self._engine.begin() as connection:
            await connection.execute(delete(rollout_answer).where(rollout_answer.c.rollout_id.in_(ended)))

    async def signs(self, request_id: str, message_id: uuid.UUID, found: Collection[str]) -> None:
        """What a stored turn says of itself (``learning.signals``), and which answer of the page it is."""
        values = {"message_id": message_id, **dict.fromkeys(found, True)}
        async with self._engine.begin() as connection:
            await connection.execute(
                update(rollout_answer).where(rollout_answer.c.request_id == request_id).values(values)
            )


class Held:
    """A rollout that runs, its row held until the transaction ends."""

    def __init__(self, connection: AsyncConnection, found: Rollout) -> None:
        self.connection = connection
        self.rollout = found

    async def rows(self) -> list[Counted]:
        """As ``RolloutStore.rows``."""
        return await _rows(self.connection, self.rollout)

    async def decide(self, verdict: Mapping[str, Any]) -> None:
        """Keep what is to be done, before it is in the log: who comes after a restart does the same, not another."""
        await self._change(verdict=dict(verdict))

    async def go_on(self, figures: Mapping[str, Any]) -> None:
        """The next stage begins."""
        await self._change(stage=self.rollout.stage + 1, verdict=None, figures=dict(figures), stage_since=func.now())

    async def end(self, state: State, figures: Mapping[str, Any]) -> None:
        """It runs no more. A brief that goes back is not told again but by somebody's word."""
        await self._change(state=state, verdict=None, figures=dict(figures))
        await self.connection.execute(delete(rollout_answer).where(rollout_answer.c.rollout_id == self.rollout.id))
        if self.rollout.kind == "brief" and state == "back":
            this = (brief.c.id == uuid.UUID(self.rollout.change)) & brief.c.state.in_(("compiled", "judged"))
            values = {"state": "replaced", "cause": TAKEN_BACK, "changed": func.now()}
            await self.connection.execute(update(brief).where(this).values(values))

    async def _change(self, **values: Any) -> None:
        values["changed"] = func.now()
        await self.connection.execute(update(rollout).where(rollout.c.id == self.rollout.id).values(values))


def _runs_already(group: str) -> ConflictError:
    return ConflictError(f"a rollout runs in {group} already", "`sovereign learn rollout status` shows it")


async def end_kept(connection: AsyncConnection, number: uuid.UUID, figures: Mapping[str, Any]) -> None:
    """Within the transaction that puts its change in force.

    Raises ``NotFoundError`` where it runs no more, ``ConflictError`` where it was decided meanwhile that it goes back.
    """
    query = select(rollout).where(rollout.c.id == number, _RUNNING).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError("the rollout does not run any more", "`sovereign learn rollout status` shows it")
    if row.verdict is not None:
        raise ConflictError("it was decided meanwhile that the rollout goes back", "`sovereign learn rollout status`")
    await Held(connection, rollout_of(row)).end("kept", figures)


async def marked(connection: AsyncConnection, message_id: uuid.UUID, verdict: str | None) -> None:
    """Somebody marked an answer, or took that back: one answer has one mark, however often it is set."""
    values = {"verdict": verdict, "marked": func.now() if verdict is not None else None}
    await connection.execute(update(rollout_answer).where(rollout_answer.c.message_id == message_id).values(values))


async def _rows(connection: AsyncConnection, found: Rollout) -> list[Counted]:
    names = Counted.__dataclass_fields__
    query = select(*(rollout_answer.c[name] for name in names)).where(
        rollout_answer.c.rollout_id == found.id, rollout_answer.c.stage == found.stage
    )
    rows = (await connection.execute(query.order_by(rollout_answer.c.at, rollout_answer.c.request_id))).all()
    return await asyncio.to_thread(_counted, rows)  # there may be many: answers go on meanwhile


def _counted(rows: Sequence[Row[Any]]) -> list[Counted]:
    return [Counted(**row._mapping) for row in rows]  # noqa: SLF001 - a row's public mapping
