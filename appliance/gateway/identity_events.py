"""Brings Keycloak's own events into the log: asks every few seconds, and goes on where it had come to.

Nothing is lost and nothing is logged twice: an entry's id is the event's, so the log takes it once however often it is
read. So the cursor moves only after everything up to it is durable, and each reading begins a minute before it, for
what Keycloak wrote late or in the same millisecond. A lost cursor is read anew from as far back as Keycloak keeps
events (90 days). Where a reading could begin only behind what had been read, that gap is an entry of its own.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from appliance.audit.errors import AuditUnavailableError, EntryRefusedError, IdReusedError
from appliance.audit.events_identity import identity_reading
from appliance.audit.roles import IDENTITY
from appliance.errors import SovereignError
from appliance.gateway.database import DATABASE_DOWN
from appliance.gateway.pseudonyms import subject_of
from appliance.identity.event_source import ADMIN_EVENTS, USER_EVENTS
from appliance.identity.events import admin_entry, recorded_at, user_entry
from appliance.identity.realm import EVENTS_KEPT_DAYS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    from appliance.gateway.event_cursor import Cursor
    from appliance.gateway.metrics import Metrics
    from appliance.gateway.ports import Audit
    from appliance.identity.events import Named

_log = structlog.get_logger(__name__)
EVERY_SECONDS = 5.0
KEPT_MS = EVENTS_KEPT_DAYS * 86_400_000
OVERLAP_MS = 60_000


class Source(Protocol):
    """Keycloak's events (``appliance.identity.event_source.EventSource``)."""

    def pages(self, kind: str, since: int) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Events of a kind from a moment on, oldest first."""


class Cursors(Protocol):
    """Who reads, and from where (``event_cursor.CursorStore``)."""

    def turn(self) -> AbstractAsyncContextManager[Cursor | None]:
        """The cursor, for one reading; None when somebody else reads."""


class IdentityEvents:
    """Reads ``source`` into ``audit``; ``key`` makes pseudonyms, ``now`` is the time in seconds."""

    def __init__(  # noqa: PLR0913 - its neighbours, by keyword
        self,
        *,
        source: Source,
        audit: Audit,
        cursors: Cursors,
        metrics: Metrics,
        key: bytes,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._audit = audit
        self._cursors = cursors
        self._metrics = metrics
        self._key = key
        self._now = now
        self._recent: dict[str, int] = {}

    async def follow(self, every: float = EVERY_SECONDS) -> None:
        """Read, for ever. What goes wrong is counted, said once, and tried again."""
        failing = False
        while True:
            try:
                await self.read()
                failing = False
            except (SovereignError, *DATABASE_DOWN) as error:
                self._metrics.upkeep_failures.labels("identity_events").inc()
                if not failing:
                    _log.warning("keycloak's events cannot be read into the log", cause=str(error))
                failing = True
            await asyncio.sleep(every)

    async def read(self) -> int:
        """Everything that is new; how many entries. Another gateway's turn: none.

        Raises ``SovereignError`` (Keycloak or the log do not answer) and ``DATABASE_DOWN``: then the cursor stays.
        """
        async with self._cursors.turn() as cursor:
            return await self._read(cursor) if cursor else 0

    async def _read(self, cursor: Cursor) -> int:
        begun = int(self._now() * 1000)
        kept_since = begun - KEPT_MS
        if cursor.read is None or cursor.read < kept_since:
            event = identity_reading(since=cursor.read, kept_since=kept_since)
            await self._append((IDENTITY.id("reading", str(begun)), event))
        since = max((cursor.at or 0) - OVERLAP_MS, kept_since, 0)
        latest, count = cursor.at or 0, 0
        for kind, entry_of in ((USER_EVENTS, user_entry), (ADMIN_EVENTS, admin_entry)):
            async for page in self._source.pages(kind, since):
                made = [(entry_of(one, self._name), recorded_at(one)) for one in page]
                fresh = [(entry, at) for entry, at in made if entry and entry[0] not in self._recent]
                await asyncio.gather(*(self._append(entry) for entry, _ in fresh))
                self._recent |= {entry[0]: at for entry, at in fresh}
                latest = max([latest, *map(recorded_at, page)])
                count += len(fresh)
        cursor.at, cursor.read = min(latest, begun) or None, begun
        self._recent = {one: at for one, at in self._recent.items() if at >= latest - 2 * OVERLAP_MS}
        return count

    async def _append(self, entry: Named) -> None:
        entry_id, event = entry
        try:
            await self._audit.append(event, id=entry_id)
        except IdReusedError:
            pass  # read before, by another release that told it otherwise, or pruned since: it is, or was, in the log
        except EntryRefusedError as error:
            raise AuditUnavailableError(f"the log refuses an event of keycloak: {error.cause}") from error

    def _name(self, keycloak_sub: str) -> str:
        return subject_of(keycloak_sub, self._key)
