"""Sessions live on the server: the browser holds a random id, PostgreSQL its digest and the sealed tokens.

Somebody who reads the table can neither take over a session (the id is hashed) nor use a token (sealed by the
session key, bound to its row). The CSRF token is derived from the id with the session key, so it needs no column and
dies with the session.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from appliance.gateway.pseudonyms import Subject
from appliance.gateway.schema import logout_replay, session
from appliance.gateway.sealing import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncEngine

ABSOLUTE = timedelta(hours=12)
IDLE = timedelta(hours=1)
_REFRESH_EARLY = timedelta(seconds=20)
_ID_BYTES = 32


@dataclass(frozen=True)
class SessionData:
    """What a session knows, sealed at rest. Times are RFC 3339 UTC."""

    username: str
    groups: tuple[str, ...]
    roles: tuple[str, ...]
    refresh_token: str
    id_token: str
    weight: float | None = None


@dataclass(frozen=True)
class Session:
    """A session that was found, open and unexpired."""

    token: str
    subject: Subject
    sid: str | None
    access_expires: datetime
    data: SessionData


class SessionStore:
    """Creates, finds, refreshes and ends sessions."""

    def __init__(self, engine: AsyncEngine, session_key: bytes) -> None:
        self._engine = engine
        self._key = session_key

    async def create(self, subject: Subject, sid: str | None, data: SessionData, access_expires: datetime) -> str:
        """Store a session and return the id for the cookie; only the browser ever holds it."""
        token = secrets.token_urlsafe(_ID_BYTES)
        values = {
            "id_hash": _digest(token),
            "subject": subject,
            "sid": sid,
            "sealed": self._seal(token, data),
            "access_expires": access_expires,
            "expires": datetime.now(UTC) + ABSOLUTE,
        }
        async with self._engine.begin() as connection:
            await connection.execute(insert(session).values(values))
        return token

    async def find(self, token: str) -> Session | None:
        """The live session of ``token``; notes that it was seen, at most once a minute."""
        now = datetime.now(UTC)
        async with self._engine.begin() as connection:
            row = (await connection.execute(select(session).where(_live(token, now)))).one_or_none()
            if row is None:
                return None
            if now - row.last_seen > timedelta(minutes=1):
                await connection.execute(update(session).where(session.c.id_hash == row.id_hash).values(last_seen=now))
        return self._opened(token, row)

    async def refreshed(
        self, found: Session, refresh: Callable[[Session], Awaitable[tuple[SessionData, datetime]]]
    ) -> Session | None:
        """``found`` with a live access token, calling ``refresh`` when the old one is about to expire.

        The row is locked meanwhile: refresh tokens rotate, and two requests (or two gateways) that used the same
        one would look like a theft to Keycloak. Whatever ``refresh`` raises leaves the session as it was.
        """
        if found.access_expires - datetime.now(UTC) > _REFRESH_EARLY:
            return found
        async with self._engine.begin() as connection:
            locked = select(session).where(_live(found.token, datetime.now(UTC))).with_for_update()
            row = (await connection.execute(locked)).one_or_none()
            if row is None:
                return None
            current = self._opened(found.token, row)
            if current.access_expires - datetime.now(UTC) > _REFRESH_EARLY:
                return current
            data, access_expires = await refresh(current)
            await connection.execute(
                update(session)
                .where(session.c.id_hash == row.id_hash)
                .values(sealed=self._seal(found.token, data), access_expires=access_expires)
            )
        return Session(found.token, current.subject, current.sid, access_expires, data)

    async def end(self, token: str) -> None:
        """End one session."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(session).where(session.c.id_hash == _digest(token)))

    async def end_remotely(self, *, subject: Subject | None, sid: str | None) -> list[Subject]:
        """Back-channel logout: end the session ``sid``, or every session of ``subject`` when no sid is named.

        Returns the subjects whose sessions ended, one per session.
        """
        where = session.c.sid == sid if sid is not None else session.c.subject == subject
        async with self._engine.begin() as connection:
            rows = await connection.execute(delete(session).where(where).returning(session.c.subject))
            return [Subject(row.subject) for row in rows]

    async def first_use(self, jti: str, expires: datetime) -> bool:
        """Whether a logout token's id is seen for the first time, by any gateway."""
        statement = upsert(logout_replay).values(jti_hash=_digest(jti), expires=expires).on_conflict_do_nothing()
        async with self._engine.begin() as connection:
            rows = await connection.execute(statement.returning(logout_replay.c.expires))
            return rows.one_or_none() is not None

    async def forget_expired(self) -> None:
        """Delete sessions and replay marks that can no longer matter."""
        now = datetime.now(UTC)
        async with self._engine.begin() as connection:
            stale = or_(session.c.expires <= now, session.c.last_seen <= now - IDLE)
            await connection.execute(delete(session).where(stale))
            await connection.execute(delete(logout_replay).where(logout_replay.c.expires <= func.now()))

    def csrf_token(self, token: str) -> str:
        """The session's CSRF token."""
        return hmac.new(self._key, b"csrf:" + token.encode(), hashlib.sha256).hexdigest()

    def csrf_matches(self, token: str, offered: str) -> bool:
        """Constant-time comparison with what a request brought."""
        return hmac.compare_digest(self.csrf_token(token).encode(), offered.encode())

    def _seal(self, token: str, data: SessionData) -> bytes:
        return seal(self._key, json.dumps(asdict(data)).encode(), bound_to=_bound(token))

    def _opened(self, token: str, row: Row[tuple[object, ...]]) -> Session:
        raw = json.loads(unseal(self._key, row.sealed, bound_to=_bound(token)))
        data = SessionData(**{**raw, "groups": tuple(raw["groups"]), "roles": tuple(raw["roles"])})
        return Session(token, Subject(row.subject), row.sid, row.access_expires, data)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _bound(token: str) -> str:
    return f"session:{_digest(token).hex()}"


def _live(token: str, now: datetime) -> ColumnElement[bool]:
    return and_(session.c.id_hash == _digest(token), session.c.expires > now, session.c.last_seen > now - IDLE)
