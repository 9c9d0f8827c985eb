"""Rollouts that go on or back by themselves: every gateway looks, and one at a time decides.

Order, so that a gateway may be killed at any point: what is to be done is kept in the rollout's row; then it is entered
in the log, under an id made of rollout, stage, act and moment; then it is done, in the transaction that holds the row.
Whoever finds it kept and not done enters the very same again, which is one entry, and does it. Questions read the row
without waiting, so a change that goes back is gone from the next one on.

The moment is in the id because a database may be put back to a time before a decision that the log has: what is
decided then is another entry. Without the log nothing goes back, and nobody is answered either.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from appliance.gateway.database import DATABASE_DOWN
from appliance.gateway.errors import NotFoundError, NotReadyError
from appliance.gateway.rollout_values import NOTHING
from appliance.learning.comparing import Bounds, Comparison, compared, figures
from appliance.memory.schema import brief
from appliance.packs.errors import PackLostError

if TYPE_CHECKING:
    from appliance.gateway.changes import Changes
    from appliance.gateway.ledger import Ledger
    from appliance.gateway.packs import Packs
    from appliance.gateway.rollout_store import Held, RolloutStore
    from appliance.gateway.rollout_values import Rollout
    from appliance.site.rolling import Rollout as Settings

_log = structlog.get_logger(__name__)
BACK = "back"
SILENT = 30
"""Looks, ten seconds apart: large weights take minutes to load after a host's start, and nobody waits meanwhile."""
ON = "on"


def bounds_of(settings: Settings) -> Bounds:
    """What a site sets, for the comparison."""
    return Bounds(**{name: getattr(settings, name) for name in Bounds.__dataclass_fields__})


@dataclass
class Watch:
    """Looks at every rollout that runs."""

    store: RolloutStore
    packs: Packs
    changes: Changes
    ledger: Ledger
    settings: Settings
    silent: dict[uuid.UUID, int] = field(default_factory=dict)
    """Looks in a row at which an engine of a rollout of a model did not answer."""

    async def look(self) -> None:
        """Once at each. One that cannot be looked at now is looked at again; the others have their turn."""
        running = await self.store.all_running()
        self.silent = {number: looks for number, looks in self.silent.items() if number in {one.id for one in running}}
        for found in running:
            try:
                await self._decided(found)
                await self._done(found)
            except NotFoundError:
                continue  # it ended, or another gateway has it
            except NotReadyError as error:
                _log.warning("a rollout waits for its decision", rollout=str(found.id), cause=error.cause)
            except (*DATABASE_DOWN, SQLAlchemyError):
                raise
            except Exception:  # noqa: BLE001 - a row without sense neither ends the gateway nor the others' turn
                _log.exception("a rollout cannot be looked at", rollout=str(found.id))
        await self.store.tidy()

    async def _decided(self, found: Rollout) -> None:
        """Keep what is to be done, if anything is and nothing is kept yet."""
        lost = await self._lost(found)
        async with self.store.held(found.id, wait=False) as held:
            kept = held.rollout.verdict
            if (kept is not None and kept["act"] == BACK) or held.rollout.stage != found.stage:
                return
            now, bounds = datetime.now(UTC), bounds_of(self.settings)
            rows = await held.rows()
            seen = await asyncio.to_thread(compared, rows, found.stages, found.stage, bounds, now)
            lost = lost or await _changed(held)
            if (reason := lost or seen.back) is not None:  # also where it was to go on, and the log did not take that
                await held.decide(verdict(held.rollout, BACK, reason, seen, now))
            elif kept is None and self._goes_on(held.rollout, seen, now) and await self._permitted(found):
                await held.decide(verdict(held.rollout, ON, "time, people and answers, and no harm seen", seen, now))

    async def _done(self, found: Rollout) -> None:
        """Enter what is kept, then do it."""
        async with self.store.held(found.id, wait=False) as held:
            kept = held.rollout.verdict
            if kept is None:
                return
            act, said = kept["act"], dict(kept["figures"])
            await self.ledger.rollout_decided(
                f"{found.id}/{held.rollout.stage}/{act}/{kept['at']}",
                target=str(found.id),
                figures=said,
                action="delete" if act == BACK else "update",
                at=datetime.fromisoformat(kept["at"]),
            )
            if act == BACK:
                await held.end("back", said)
            else:
                await held.go_on(said)
        _log.info("a rollout was decided", rollout=str(found.id), act=act, reason=said["reason"])

    async def _lost(self, found: Rollout) -> str | None:
        """Why a rollout cannot be established; of a pack, nobody of the group is answered until it is over."""
        try:
            if found.kind == "pack":
                await self.packs.check(found)
            elif found.kind != "brief":
                await self.changes.check(found)
        except PackLostError as error:
            self.silent.pop(found.id, None)
            return error.cause
        except NotReadyError:
            if found.kind == "pack":
                raise
            self.silent[found.id] = self.silent.get(found.id, 0) + 1
            return "an engine of the rollout does not answer" if self.silent[found.id] >= SILENT else None
        self.silent.pop(found.id, None)
        return None

    async def _permitted(self, found: Rollout) -> bool:
        """Whether the operator's record lets a pack go to the next share without a command."""
        return found.kind == "brief" or await self.packs.permits(found, found.stages[found.stage + 1])

    def _goes_on(self, found: Rollout, seen: Comparison, now: datetime) -> bool:
        lasted = now - found.stage_since >= timedelta(hours=self.settings.hours)
        return self.settings.advances == "by-itself" and not found.last and lasted and seen.enough


def verdict(found: Rollout, act: str, reason: str, seen: Comparison, now: datetime) -> dict[str, Any]:
    """What is to be done, with every figure that it rests on."""
    about: dict[str, Any] = {"act": act, "reason": reason, "group": found.group, "kind": found.kind}
    about |= {"former": found.former, "change": found.change, "stage": found.stage, "percent": found.share}
    return {"act": act, "at": now.isoformat(), "figures": {**about, **figures(seen)}}


async def _changed(held: Held) -> str | None:
    """Whether a brief's rollout stands on what is there no more."""
    found = held.rollout
    if found.kind != "brief":
        return None
    this = brief.c.group_name == found.group
    in_force = select(brief.c.id).where(this, brief.c.state == "in_force")
    now = (await held.connection.execute(in_force)).scalar_one_or_none()
    if (str(now) if now is not None else NOTHING) != found.former:
        return "another brief is in force than the rollout began with"
    waiting = select(brief.c.id).where(
        this, brief.c.id == uuid.UUID(found.change), brief.c.state.in_(("compiled", "judged"))
    )
    if (await held.connection.execute(waiting)).one_or_none() is None:
        return "the brief of the new arm is not there any more"
    return None
