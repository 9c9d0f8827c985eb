"""A group's brief in what its people are answered under: read for each question, so that what is struck is gone.

Groups that site.yaml gives no brief cost nothing here. Where an evaluation tries another brief, what is computed of it
is the evaluating client's alone, and is never pinned.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from appliance.gateway.brief_store import BriefStore
from appliance.gateway.database import needed
from appliance.gateway.errors import NotFoundError, UnprocessableError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.gateway.conversations import ConversationStore
    from appliance.gateway.entitlements import Grant
    from appliance.gateway.rollout_values import Rollout


@dataclass(frozen=True)
class Trial:
    """A brief of the group that is not in force."""

    id: uuid.UUID


@dataclass(frozen=True)
class Stated:
    """What is in force, or nothing."""

    in_force: bool


Wish = Trial | Stated
IN_FORCE: Final = Stated(in_force=True)
NONE: Final = Stated(in_force=False)


class Briefs:
    """The briefs of the site's groups, as answers are given with them."""

    def __init__(self, engine: AsyncEngine, conversations: ConversationStore) -> None:
        self.store = BriefStore(engine, conversations)

    async def told(self, granted: Grant, wish: Wish) -> Grant:
        """``granted`` with the brief of the group that pays. Raises ``UnprocessableError`` for one that it has not."""
        group = granted.group
        if not group.brief or wish == NONE:
            return granted
        placed = granted.rollout
        if wish == IN_FORCE and placed is not None and placed.rollout.kind == "brief" and placed.arm.new:
            return await self._rolled_out(granted, placed.rollout)
        with needed():
            if isinstance(wish, Trial):
                try:
                    found = await self.store.one(wish.id, [group.name])
                except NotFoundError:
                    raise UnprocessableError("the group has no such brief", code="no_brief") from None
            elif (in_force := await self.store.in_force(group.name)) is None:
                return granted
            else:
                found = in_force
        trial = granted.instructions.trial or isinstance(wish, Trial)
        told = replace(granted.instructions, brief=found.text, trial=trial)
        return replace(granted, instructions=told)

    async def _rolled_out(self, granted: Grant, rollout: Rollout) -> Grant:
        """``granted`` with the brief of the new arm; one that is not there leaves the one in force, in no arm."""
        with needed():
            try:
                found = await self.store.one(uuid.UUID(rollout.change), [granted.group.name])
            except NotFoundError:
                return await self.told(replace(granted, rollout=None), IN_FORCE)
        return replace(granted, instructions=replace(granted.instructions, brief=found.text))

    async def digest(self, number: str, group: str) -> str | None:
        """Of what stands of the group's brief ``number``; None where nothing does."""
        try:
            return (await self.store.one(uuid.UUID(number), [group])).digest
        except NotFoundError:
            return None
