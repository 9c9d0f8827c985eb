"""What the commands on rollouts stand on: the site's database, its log, and the file that permits rollouts of packs."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from appliance.cli.learn_site import actor, enter, site_database
from appliance.cli.pack_served import served
from appliance.errors import UsageError
from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.gateway.rollout_store import RolloutStore
from appliance.gateway.rollout_values import Rollout
from appliance.gateway.rollout_watch import bounds_of
from appliance.learning.arms import ALL
from appliance.learning.comparing import Comparison, compared, figures
from appliance.packs.errors import PackLostError
from appliance.packs.permits import Permit, read_permits, write_permits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.gateway.rollout_values import Kind
    from appliance.learning.comparing import Counted
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

STATUS = "`sovereign learn rollout status` shows it"


@dataclass(frozen=True)
class Field:
    """One site's rollouts."""

    paths: SitePaths
    site: SiteConfig
    pool: AsyncEngine
    store: RolloutStore

    async def running(self, group: str) -> Rollout:
        """The group's rollout. Raises ``UsageError`` where none runs."""
        found = await self.store.running(group)
        if found is None:
            raise UsageError(f"no rollout runs in {group}", STATUS)
        return found

    def seen(self, found: Rollout, rows: Sequence[Counted]) -> Comparison:
        """What the stage's answers come to, by the site's settings."""
        bounds = bounds_of(self.site.learning.rollout)
        return compared(rows, found.stages, found.stage, bounds, datetime.now(UTC))

    async def enter(
        self,
        action: Literal["create", "update", "delete"],
        found: Rollout,
        step: str,
        seen: Comparison | None = None,
        **more: Any,
    ) -> None:
        """Put an operator's act into the log, durably, before it takes effect. Raises ``AuditUnavailableError``."""
        about = announced(found, step) | more
        said = about if seen is None else {**about, **figures(seen)}
        await asyncio.to_thread(enter, self.paths, what="rollout", target=str(found.id), figures=said, action=action)

    def most(self, percent: int) -> int:
        """What the record permits of a pack that is given to ``percent``: all, where the site goes on by itself."""
        return ALL if self.site.learning.rollout.advances == "by-itself" else percent

    async def permit(self, found: Rollout | None = None, most: int = 0) -> None:
        """Let the file permit ``found`` up to ``most`` percent, and nothing that runs no more.

        Raises ``DeploymentError``; the former file stands then.
        """
        running = {(one.group, str(one.id)) for one in await self.store.all_running() if one.kind != "brief"}
        try:
            there = read_permits(self.paths.packs)
        except PackLostError:
            there = {}  # what ran by it answers nobody, and is ended
        kept = {group: permit for group, permit in there.items() if (group, permit.id) in running}
        if found is not None:
            made = Permit(id=str(found.id), former=found.former, change=found.change, most=most)
            kept[found.group] = made
        if kept != there:
            write_permits(self.paths.packs, kept)
            await asyncio.to_thread(served, self.paths)


@asynccontextmanager
async def field(paths: SitePaths, site: SiteConfig, passphrase_fd: int | None) -> AsyncIterator[Field]:
    """All of it, open. Raises ``UnavailableError`` when the database does not answer, ``UsageError`` for a refusal."""
    async with site_database(paths, passphrase_fd) as pool:
        try:
            yield Field(paths, site, pool, RolloutStore(pool))
        except (ConflictError, NotFoundError) as error:
            raise UsageError(error.cause, error.hint or STATUS) from error


def planned(site: SiteConfig, group: str, kind: Kind, former: str, change: str) -> Rollout:
    """A rollout as it is to begin, by what the site sets."""
    now = datetime.now(UTC)
    return Rollout(
        id=uuid.uuid4(),
        group=group,
        kind=kind,
        former=former,
        change=change,
        stages=(*site.learning.rollout.stages, ALL),
        stage=0,
        state="running",
        verdict=None,
        figures=None,
        begun_by=actor(),
        created=now,
        stage_since=now,
        changed=now,
    )


def announced(found: Rollout, step: str) -> dict[str, Any]:
    """What an operator does about a rollout, for the log."""
    about: dict[str, Any] = {"step": step, "group": found.group, "kind": found.kind, "former": found.former}
    return {**about, "change": found.change, "stage": found.stage, "percent": found.share}
