"""Nights whose briefs go to a group by shares (`memory.compile.staged`): they start a rollout and wait for it."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.cli.learn_site import enter
from appliance.cli.rollout_site import announced, planned
from appliance.gateway.rollout_values import NOTHING

if TYPE_CHECKING:
    from appliance.cli.memory_site import Desk
    from appliance.gateway.brief_values import Run


@dataclass
class SiteStage:
    """Implements ``memory_night.Stage`` with the site's database and log."""

    desk: Desk

    async def rolled_out(self, group: str) -> uuid.UUID | None:
        """The brief of the group's rollout, if one runs and is of a brief."""
        found = await self.desk.rollouts.running(group)
        return uuid.UUID(found.change) if found is not None and found.kind == "brief" else None

    async def begin(self, run: Run) -> None:
        """Enter it into the log, then have it run. Raises ``ConflictError`` where one of the group runs already."""
        made = planned(self.desk.site, run.group, "brief", str(run.against or NOTHING), str(run.id))
        await self.desk.rollouts.check_none_runs(run.group)
        figures = announced(made, "start")
        await asyncio.to_thread(
            enter, self.desk.paths, what="rollout", target=str(made.id), figures=figures, action="create"
        )
        await self.desk.rollouts.begin(made)
