"""The engine computes what a group is told before anybody asks: pinned in its memory, and kept on its disk.

It is asked as for a question of the group, for one token, after everybody's; the question is a full stop and nobody's.
"""

from __future__ import annotations

import os
import secrets
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appliance.cli.learn_site import described_site
from appliance.cli.memory_night import Energy
from appliance.cli.memory_site import desk
from appliance.cli.terminal import say
from appliance.engine.client import EngineClient
from appliance.engine.errors import EngineRefusedError
from appliance.engine.protocol import End, Request
from appliance.errors import UnavailableError
from appliance.gateway.entitlements import grant
from appliance.gateway.errors import NotFoundError, NotReadyError
from appliance.gateway.instructions import conversation
from appliance.gateway.rollout_values import Placed
from appliance.learning.arms import Arm
from appliance.site.paths import engine_service

if TYPE_CHECKING:
    from collections.abc import Collection

    from appliance.cli.memory_site import Desk
    from appliance.gateway.entitlements import Grant
    from appliance.gateway.rollout_values import Rollout
    from appliance.site.groups import Group
    from appliance.site.paths import SitePaths

_NOTHING = ({"role": "user", "content": "."},)


@dataclass
class Warm:
    """Implements ``memory_night.Compute`` with the engines of this host."""

    desk: Desk
    energy: Energy

    async def __call__(self, group: Group, text: str, placed: Placed | None = None) -> None:
        """Have each model of the group compute it, after its pack's words where it answers under one.

        ``placed``: for the people of that arm of a rollout.
        An engine that does not answer, or whose pack is not there, computes it at the first question.
        """
        for model in group.models:
            if model == self.desk.site.documents.model:
                continue
            try:
                granted = replace(grant(self.desk.site, [group.name], model), rollout=placed)
                granted = await self.desk.packs.under(granted)
                await self._computed(replace(granted, instructions=replace(granted.instructions, brief=text)))
            except (UnavailableError, EngineRefusedError, NotReadyError) as error:
                say(f"{model} computes the brief of {group.name} at its first question: {error.cause}")

    async def _computed(self, granted: Grant) -> None:
        async with EngineClient(self.desk.paths.socket(engine_service(granted.model))) as engine:
            async for event in engine.generate(prefix_request(granted)):
                if isinstance(event, End):
                    self.energy.spent += event.energy.joules


async def retold(paths: SitePaths, groups: Collection[str], passphrase_fd: int | None) -> None:
    """Have engines compute what those of ``groups`` that have a brief are told now, in place of what was taken out."""
    site = described_site(paths)
    having = [group for group in site.groups if group.brief and group.name in groups]
    if not having:
        return
    async with desk(paths, passphrase_fd) as open_desk:
        for group in having:
            if (found := await open_desk.store.in_force(group.name)) is not None:
                await Warm(open_desk, Energy(0))(group, found.text)
            if (rolled := await open_desk.rollouts.running(group.name)) is not None:
                await new_arm(open_desk, group, rolled)


async def new_arm(open_desk: Desk, group: Group, rolled: Rollout) -> None:
    """Have the engines compute what people of the new arm of ``rolled`` are told before anybody speaks."""
    store = open_desk.store
    told = await store.in_force(group.name) if group.brief else None
    if rolled.kind == "brief":
        try:
            told = await store.one(uuid.UUID(rolled.change), [group.name])
        except NotFoundError:
            return  # it is gone, and the rollout with it in a moment
    placed = Placed(rolled, Arm(new=True, drawn=True), person=True)
    await Warm(open_desk, Energy(0))(group, told.text if told is not None else "", placed)


def prefix_request(granted: Grant) -> Request:
    """What computes all that is told before anybody speaks, and one token more."""
    return Request(
        id=secrets.token_hex(16),
        user=f"uid {os.getuid()}",
        group=granted.group.name,
        priority=-1,
        messages=conversation(_NOTHING, granted.instructions),
        max_tokens=1,
        adapter=granted.adapter,
        kept=False,
    )
