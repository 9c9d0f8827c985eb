"""Quotas: requests a minute and tokens a day, per user and per group, counted in PostgreSQL.

All gateways count in the same rows, with the database's clock and fixed windows (the minute, the UTC day), so any
number of them agree. Admission adds to the four counters in ONE statement whose ``WHERE`` refuses to pass a cap; if
fewer than four rows come back, the transaction is rolled back and nothing was counted. Rows are touched in a fixed
order, so that concurrent admissions cannot deadlock.

Tokens are reserved at admission (the most that the prompt can take plus ``max_tokens``) and settled to what was used
at the end. A gateway that dies in between leaves its reservation until the day ends: a quota errs on the side of the
limit. Counting does not wait for the disk (``synchronous_commit``): where the host or its database stops without
warning, what was counted in the last moment is lost, and nobody's answer waits for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, func, or_, select, text

from appliance.gateway import schema
from appliance.gateway.database import at_once
from appliance.gateway.errors import ExhaustedError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from appliance.gateway.entitlements import Grant
    from appliance.gateway.pseudonyms import Subject
    from appliance.site.groups import Group

REQUESTS = "requests"
TOKENS = "tokens"
_WINDOWS = {REQUESTS: "minute", TOKENS: "day"}
_KEPT = text("now() - interval '2 days'")


@dataclass(frozen=True)
class Counter:
    """One row to count in: ``owner`` is ``user:PSEUDONYM`` or ``group:NAME``."""

    owner: str
    metric: str
    amount: int
    cap: int

    @property
    def described(self) -> str:
        """The counter for a person to read; no pseudonym."""
        whose = "your group's" if self.owner.startswith("group:") else "your"
        return f"{whose} quota of {self.cap} {self.metric} a {_WINDOWS[self.metric]}"


@dataclass(frozen=True)
class Reservation:
    """Tokens taken at admission; give it back to ``settle`` with what was really used."""

    owners: tuple[str, ...]
    window_start: datetime
    tokens: int


_ADMIT = text(
    """
    INSERT INTO quota_counter (subject, metric, window_start, used, cap)
    SELECT wanted.subject, wanted.metric, date_trunc(wanted.span, now(), 'UTC'), wanted.amount, wanted.cap
    FROM unnest(CAST(:subjects AS text[]), CAST(:metrics AS text[]), CAST(:spans AS text[]),
                CAST(:amounts AS bigint[]), CAST(:caps AS bigint[])) WITH ORDINALITY
         AS wanted (subject, metric, span, amount, cap, place),
         set_config('synchronous_commit', 'off', true)
    WHERE wanted.amount <= wanted.cap
    ORDER BY wanted.place
    ON CONFLICT (subject, metric, window_start) DO UPDATE
    SET used = quota_counter.used + excluded.used, cap = excluded.cap
    WHERE quota_counter.used + excluded.used <= excluded.cap
    RETURNING subject, metric, window_start
    """
)
_SETTLE = text(
    """
    WITH held AS (
        SELECT counter.subject, counter.metric, counter.window_start
        FROM quota_counter AS counter
        JOIN unnest(CAST(:owners AS text[])) WITH ORDINALITY AS wanted (subject, place) USING (subject),
             set_config('synchronous_commit', 'off', true)
        WHERE counter.metric = :metric AND counter.window_start = :window_start
        ORDER BY wanted.place
        FOR UPDATE OF counter
    )
    UPDATE quota_counter AS counter
    SET used = greatest(0, counter.used + :more)
    FROM held
    WHERE counter.subject = held.subject AND counter.metric = held.metric AND counter.window_start = held.window_start
    """
)
_WINDOW_ENDS = text(
    """
    SELECT extract(epoch FROM date_trunc('minute', now(), 'UTC') + interval '1 minute' - now()) AS minute,
           extract(epoch FROM date_trunc('day', now(), 'UTC') + interval '1 day' - now()) AS day
    """
)


def owner_of(subject: Subject) -> str:
    """Whose counters a person's are."""
    return f"user:{subject}"


def counters(subject: Subject, group: Group, tokens: int, requests: int = 1) -> tuple[Counter, ...]:
    """The four counters of ``requests`` of so many ``tokens`` each, in the order they are locked."""
    user, whole = owner_of(subject), f"group:{group.name}"
    return (
        Counter(user, REQUESTS, requests, group.per_user.requests_per_minute),
        Counter(user, TOKENS, tokens * requests, group.per_user.tokens_per_day),
        Counter(whole, REQUESTS, requests, group.per_group.requests_per_minute),
        Counter(whole, TOKENS, tokens * requests, group.per_group.tokens_per_day),
    )


class Quotas:
    """Admission and settlement over the shared counters."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._at_once = at_once(engine)

    async def reserve(self, subject: Subject, grant: Grant, tokens: int, requests: int = 1) -> Reservation:
        """Count ``requests`` and reserve ``tokens`` for each; settle as often.

        Raises ``ExhaustedError`` having counted nothing.
        """
        wanted = counters(subject, grant.group, tokens, requests)
        taken = await self._counted(wanted)
        owners = tuple(c.owner for c in wanted if c.metric == TOKENS)
        return Reservation(owners, taken[owners[0], TOKENS], tokens)

    async def count(self, subject: Subject, group: Group) -> None:
        """Count a request that uses no tokens of ``group``. Raises ``ExhaustedError`` having counted nothing."""
        await self._counted(tuple(one for one in counters(subject, group, 0) if one.metric == REQUESTS))

    async def _counted(self, wanted: tuple[Counter, ...]) -> dict[tuple[str, str], datetime]:
        async with self._engine.begin() as connection:
            rows = (await connection.execute(_ADMIT, _columns(wanted))).all()
            taken = {(row.subject, row.metric): row.window_start for row in rows}
            refused = next((c for c in wanted if (c.owner, c.metric) not in taken), None)
            if refused is not None:  # raising rolls back
                raise await self._exhausted(connection, refused)
        return taken

    async def check(self, subject: Subject, grant: Grant) -> None:
        """Raises ``ExhaustedError`` where nothing is left, before anything is done for a request; counts nothing."""
        wanted = counters(subject, grant.group, 1)
        table = schema.quota_counter
        query = select(table.c.subject, table.c.metric).where(
            or_(
                *(
                    and_(
                        table.c.subject == one.owner,
                        table.c.metric == one.metric,
                        table.c.window_start == func.date_trunc(_WINDOWS[one.metric], func.now(), "UTC"),
                        table.c.used >= one.cap,
                    )
                    for one in wanted
                )
            )
        )
        async with self._engine.begin() as connection:
            full = {(row.subject, row.metric) for row in (await connection.execute(query)).all()}
            if (refused := next((one for one in wanted if (one.owner, one.metric) in full), None)) is not None:
                raise await self._exhausted(connection, refused)

    async def settle(self, reservation: Reservation, used: int) -> None:
        """Replace what was reserved by what was used."""
        if used == reservation.tokens:
            return
        async with self._at_once.connect() as connection:
            await connection.execute(
                _SETTLE,
                {
                    "owners": list(reservation.owners),
                    "metric": TOKENS,
                    "window_start": reservation.window_start,
                    "more": used - reservation.tokens,
                },
            )

    async def forget_old(self) -> None:
        """Drop counters of windows that are over."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(schema.quota_counter).where(schema.quota_counter.c.window_start < _KEPT))

    @staticmethod
    async def _exhausted(connection: AsyncConnection, refused: Counter) -> ExhaustedError:
        ends = (await connection.execute(_WINDOW_ENDS)).one()
        seconds = max(1, math.ceil(getattr(ends, _WINDOWS[refused.metric])))
        hint = f"try again in {seconds} s"
        if refused.amount > refused.cap:
            hint = f"one request may use {refused.cap} tokens at most; ask for a smaller max_tokens"
        return ExhaustedError(f"{refused.described} is used up", hint, code="quota_exceeded", retry_after=seconds)


def _columns(wanted: tuple[Counter, ...]) -> dict[str, list[str] | list[int]]:
    return {
        "subjects": [c.owner for c in wanted],
        "metrics": [c.metric for c in wanted],
        "spans": [_WINDOWS[c.metric] for c in wanted],
        "amounts": [c.amount for c in wanted],
        "caps": [c.cap for c in wanted],
    }
