"""Which pack each group answers under, in the database: one half of what a gateway goes by (``packs.record``).

A row is never removed: a group that went back to none has ``none`` there. ``before`` holds what a group may go back to,
the latest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from appliance.gateway.database import at_once
from appliance.gateway.rollout_store import RolloutStore
from appliance.gateway.schema import group_pack
from appliance.packs.record import NONE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

MOST_BEFORE = 20


@dataclass(frozen=True)
class Chosen:
    """What one group answers under, ``pack`` being a digest or ``none``, by whom and since when that was decided."""

    group: str
    pack: str
    before: tuple[str, ...]
    by: str
    since: datetime

    def followed_by(self, pack: str) -> tuple[str, ...]:
        """What may be gone back to once ``pack`` is in force."""
        return tuple(one for one in (self.pack, *self.before) if one != pack)[:MOST_BEFORE]


class ChoiceStore:
    """The choices. Raises SQLAlchemy's errors; whoever calls says what a silent database means."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._at_once = at_once(engine)
        self.rollouts = RolloutStore(engine)

    async def pack(self, group: str) -> str | None:
        """Digest, ``none``, or None where nothing was ever chosen for ``group``."""
        query = select(group_pack.c.pack).where(group_pack.c.group_name == group)
        async with self._at_once.connect() as connection:
            found: str | None = (await connection.execute(query)).scalar_one_or_none()
        return found

    async def all(self) -> dict[str, Chosen]:
        """Every choice by group."""
        async with self._engine.connect() as connection:
            return await _all(connection)

    async def put(
        self,
        chosen: Chosen,
        also: Callable[[dict[str, Chosen]], None],
        within: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> None:
        """Put ``chosen`` in force. ``also`` is called with every choice as it will be, before that is committed.

        ``within`` changes in the same transaction what goes with it. Where either raises, nothing has changed here.
        """
        values = {
            "group_name": chosen.group,
            "pack": chosen.pack,
            "before": list(chosen.before),
            "chosen_by": chosen.by,
            "since": chosen.since,
        }
        changed = {name: value for name, value in values.items() if name != "group_name"}
        statement = upsert(group_pack).values(values)
        async with self._engine.begin() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["group_name"], set_=changed))
            if within is not None:
                await within(connection)
            also(await _all(connection))

    async def forget(self, digest: str) -> None:
        """Take ``digest`` out of what groups may go back to: it is dropped."""
        async with self._engine.begin() as connection:
            for group, chosen in (await _all(connection)).items():
                kept = [one for one in chosen.before if one != digest]
                if len(kept) != len(chosen.before):
                    await connection.execute(
                        update(group_pack).where(group_pack.c.group_name == group).values(before=kept)
                    )


async def _all(connection: AsyncConnection) -> dict[str, Chosen]:
    rows = (await connection.execute(select(group_pack).with_for_update())).all()
    return {
        row.group_name: Chosen(row.group_name, row.pack, tuple(row.before), row.chosen_by, row.since) for row in rows
    }


def chosen_or_none(found: Chosen | None) -> str:
    """The digest in force, or ``none``."""
    return found.pack if found is not None else NONE
