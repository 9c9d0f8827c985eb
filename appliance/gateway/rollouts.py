"""Who is in which arm of their group's rollout, asked for each question; and what is counted of each arm.

What is counted has no words. A count that the database does not take is left out and counted as such: an answer does
not fail for it, and both arms lose alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from appliance.gateway.database import DATABASE_DOWN, needed
from appliance.gateway.rollout_store import RolloutStore
from appliance.gateway.rollout_values import Placed
from appliance.learning.arms import arm, place

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Mapping
    from typing import Any

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.gateway.callers import Caller
    from appliance.gateway.jobs import Job
    from appliance.gateway.metrics import Metrics
    from appliance.gateway.tally import Tally
    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group

_log = structlog.get_logger(__name__)
MOST_OF_PERSON = 50
"""First answers of one person that are kept of a stage, and as many last ones; no less than a site's ``of_person``."""


class Rollouts:
    """The rollouts of a site's groups, as answers are given in them. ``key`` places people."""

    def __init__(self, site: SiteConfig, engine: AsyncEngine, key: bytes, metrics: Metrics) -> None:
        self.store = RolloutStore(engine)
        self._programs = frozenset(client.id for client in site.service_clients)
        self._key = key
        self._metrics = metrics

    async def placed(self, group: Group, caller: Caller, *, told: bool, looks_up: bool = True) -> Placed | None:
        """Where ``caller`` stands, if a rollout runs in ``group``. Raises ``NotReadyError``.

        ``told``: the answer is given with the group's brief; a rollout of one is none for others. ``looks_up``: it is
        given from documents; likewise. Nothing else that a request says has a part in it, so that nobody chooses.
        """
        with needed():
            found = await self.store.running(group.name)
        if found is None or (found.kind == "brief" and not (told and group.brief)):
            return None
        if found.kind == "documents" and not looks_up:
            return None
        person = caller.client_id not in self._programs
        where = place(self._key, found.id, caller.subject) if person else None
        return Placed(found, arm(where, found.stages, found.stage), person)

    async def note(self, job: Job, tally: Tally, outcome: str) -> None:
        """Count an answer that ended in ``outcome``, or was refused by the engine."""
        placed = job.grant.rollout
        if placed is None or not placed.counts:
            return
        self._metrics.rollout_answers.labels(placed.receipt()["arm"], outcome).inc()
        values: Mapping[str, Any] = {
            "request_id": job.request_id,
            "rollout_id": placed.rollout.id,
            "stage": placed.rollout.stage,
            "new": placed.arm.new,
            "drawn": placed.arm.drawn,
            "subject": job.caller.subject,
            "outcome": outcome,
            "first_token_s": tally.first_token_seconds,
            "seconds": tally.duration_ms / 1000,
            "tokens": tally.tokens,
            "joules": tally.joules,
        }
        try:
            await self.store.note(values, MOST_OF_PERSON)
        except (*DATABASE_DOWN, SQLAlchemyError) as error:
            self._left_out(error)

    async def signs(self, receipt: Mapping[str, Any] | None, message_id: uuid.UUID, found: Collection[str]) -> None:
        """What a stored turn says of itself, where its receipt names a rollout."""
        if receipt is None or "rollout" not in receipt:
            return
        for signal in found:
            self._metrics.rollout_answers.labels(receipt["rollout"]["arm"], signal).inc()
        try:
            await self.store.signs(receipt["request_id"], message_id, found)
        except (*DATABASE_DOWN, SQLAlchemyError) as error:
            self._left_out(error)

    def _left_out(self, error: BaseException) -> None:
        self._metrics.upkeep_failures.labels("rollout").inc()
        _log.warning("an answer of a rollout was not counted", cause=type(error).__name__)
