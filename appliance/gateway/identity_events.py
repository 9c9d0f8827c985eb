"""Brings Keycloak's own events into the log: asks every few seconds, and goes on where it had come to.

Nothing is lost and nothing is logged twice: an entry's id is the event's, so the log takes it once however often it is
read. Events of a kind are read by their times, a page at a time; the cursor moves after each page that is durable, and
a reading begins a minute before it, for what Keycloak wrote late. A page that lies within one millisecond is asked for
again, twice as long. A lost cursor is read anew from as far back as Keycloak keeps events (90 days). Where a reading
could begin only behind what had been read, that gap is an entry of its own. Failures are bound (``failure_bound``).
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
from appliance.gateway.failure_bound import FailureBound
from appliance.gateway.pseudonyms import subject_of
from appliance.identity.event_source import ADMIN_EVENTS, USER_EVENTS
from appliance.identity.events import admin_entry, recorded_at, user_entry
from appliance.identity.realm import EVENTS_KEPT_DAYS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from appliance.gateway.event_cursor import Cursor
    from appliance.gateway.metrics import Metrics
    from appliance.gateway.ports import Audit
    from appliance.identity.events import Named

_log = structlog.get_logger(__name__)
EVERY_SECONDS = 5.0
KEPT_MS = EVENTS_KEPT_DAYS * 86_400_000
OVERLAP_MS = 60_000
PAGE = 200
_ENTRY_OF: dict[str, Callable[[dict[str, Any], Callable[[str], str]], Named | None]] = {
    USER_EVENTS: user_entry,
    ADMIN_EVENTS: admin_entry,
}


class Source(Protocol):
    """Keycloak's events (``appliance.identity.event_source.EventSource``)."""

    async def page(self, kind: str, since: int, most: int) -> list[dict[str, Any]]:
        """The earliest events of a kind from a moment on, oldest first; fewer than ``most`` when that is all."""


class Cursors(Protocol):
    """Who reads, and from where (``event_cursor.CursorStore``)."""

    def turn(self, kind: str, now: int) -> AbstractAsyncContextManager[Cursor | None]:
        """The cursor of a kind, for one page; None when somebody else reads."""


class _Seen:
    """What this gateway knows of events of one kind, so that a minute that is read again is not judged again."""

    def __init__(self) -> None:
        self.bound = FailureBound()
        self.recent: dict[str, int] = {}
        """When those happened whose entries are durable, or were left out."""
        self.judged: dict[str, Named | None] = {}
        """What becomes of those of a page that is not durable yet."""

    def judge(self, entry: Named, at: int) -> Named | None:
        """``entry`` as it is to be logged; None when it is left out, or in the log already."""
        entry_id, event = entry
        if entry_id not in self.recent and entry_id not in self.judged:
            bounded = self.bound.admit(event, at)
            self.judged[entry_id] = (entry_id, bounded) if bounded else None
        return self.judged.get(entry_id)

    def keep(self, made: list[tuple[Named, int]], latest: int) -> None:
        """Those of ``made`` are durable, or left out. What lies long before ``latest`` is not read again."""
        self.judged.clear()
        self.recent |= {entry_id: at for (entry_id, _), at in made}
        self.recent = {one: at for one, at in self.recent.items() if at >= latest - 2 * OVERLAP_MS}


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
        self._seen = {kind: _Seen() for kind in _ENTRY_OF}

    async def follow(self, every: float = EVERY_SECONDS) -> None:
        """Read, for ever. What goes wrong is counted, said once, and tried again."""
        failing = False
        while True:
            try:
                await self.read()
                failing = False
            except Exception as error:  # noqa: BLE001 - whatever it is: answers do not depend on this
                self._metrics.upkeep_failures.labels("identity_events").inc()
                if not failing:
                    foreseen = isinstance(error, (SovereignError, *DATABASE_DOWN))
                    _log.warning(
                        "keycloak's events cannot be read into the log", cause=str(error), exc_info=not foreseen
                    )
                failing = True
            await asyncio.sleep(every)

    async def read(self) -> int:
        """Everything that is new; how many entries. Another gateway's turn: none.

        Raises ``SovereignError`` (Keycloak or the log do not answer) and ``DATABASE_DOWN``: then cursors stay where
        the last page ended that is durable.
        """
        return sum([await self._read(kind) for kind in _ENTRY_OF])

    async def _read(self, kind: str) -> int:
        count, since, most = 0, None, PAGE
        while True:
            begun = int(self._now() * 1000)
            async with self._cursors.turn(kind, begun) as cursor:
                if cursor is None:
                    return count
                since = _beginning(cursor, begun) if since is None else since
                page = await self._source.page(kind, since, most)
                await self._tell_beginning(kind, cursor, begun - KEPT_MS)
                count += await self._enter(kind, page)
                last = max(map(recorded_at, page), default=0)
                cursor.at = max(cursor.at or 0, min(last, begun)) or None
                if len(page) < most:
                    cursor.read = begun
                    return count
            since, most = (last, PAGE) if last > since else (since, 2 * most)

    async def _enter(self, kind: str, page: list[dict[str, Any]]) -> int:
        """Have the entries of ``page`` durable; how many are new."""
        seen = self._seen[kind]
        made = [(entry, recorded_at(one)) for one in page if (entry := _ENTRY_OF[kind](one, self._name))]
        fresh = {entry[0]: judged for entry, at in made if (judged := seen.judge(entry, at))}
        await asyncio.gather(*map(self._append, fresh.values()))
        seen.keep(made, max((at for _, at in made), default=0))
        return len(fresh)

    async def _tell_beginning(self, kind: str, cursor: Cursor, kept_since: int) -> None:
        """An entry for a reading that does not go on where the last one ended: one, however often it is tried."""
        if cursor.known is None or cursor.known < kept_since:
            event = identity_reading(events=kind, since=cursor.known, kept_since=kept_since)
            what = f"begun-{cursor.begun}" if cursor.known is None else f"since-{cursor.known}"
            await self._append((IDENTITY.id("reading", kind, what), event))

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


def _beginning(cursor: Cursor, now: int) -> int:
    return max((cursor.at or 0) - OVERLAP_MS, now - KEPT_MS, 0)
