"""What Keycloak recorded itself, as the log records it: one builder per kind of event. Pure; everything by keyword.

``subject`` and ``actor`` are pseudonyms, as everywhere; names that people type and addresses they come from are not
taken over. ``at`` is when it is logged, and ``recorded`` when Keycloak says that it happened, up to months before: a
log whose times jumped back could be neither searched by time nor aged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit import ocsf
from appliance.audit.ocsf import Event, compact, envelope, maybe, text

if TYPE_CHECKING:
    from datetime import datetime

_KEYCLOAK = {"name": "keycloak"}
UNKNOWN = "unknown"
"""Stands for whoever Keycloak did not recognise: what was typed as a name may be a password."""


def identity_sign_in(  # noqa: PLR0913 - the fields of a sign-in, by keyword
    *,
    subject: str | None,
    operation: str,
    client_id: str | None = None,
    session_id: str | None = None,
    error: str | None = None,
    recorded: datetime | None = None,
    at: datetime | None = None,
) -> Event:
    """Somebody, or a program, signed in to Keycloak, or could not: ``error`` is Keycloak's word for why."""
    return _authentication("identity_sign_in", 1, subject, operation, client_id, session_id, error, recorded, at)


def identity_sign_out(  # noqa: PLR0913 - the fields of a sign-out, by keyword
    *,
    subject: str | None,
    operation: str,
    client_id: str | None = None,
    session_id: str | None = None,
    error: str | None = None,
    recorded: datetime | None = None,
    at: datetime | None = None,
) -> Event:
    """A session of Keycloak ended, or could not be ended."""
    return _authentication("identity_sign_out", 2, subject, operation, client_id, session_id, error, recorded, at)


def account_change(  # noqa: PLR0913 - the fields of a change, by keyword
    *,
    subject: str | None,
    operation: str,
    activity: int,
    error: str | None = None,
    recorded: datetime | None = None,
    at: datetime | None = None,
) -> Event:
    """Something about an account changed without an administrator: by its owner, or by a rule, such as a lock."""
    return envelope(
        ocsf.ACCOUNT_CHANGE,
        activity,
        ours={"kind": "account_change", "operation": text(operation)},
        at=at,
        original=recorded,
        success=error is None,
        severity=ocsf.INFORMATIONAL if error is None else ocsf.LOW,
        fields=compact({"user": ocsf.user(subject or UNKNOWN), "status_detail": maybe(error)}),
    )


def identity_change(  # noqa: PLR0913 - the fields of a change, by keyword
    *,
    actor: str | None,
    activity: int,
    operation: str,
    resource: str,
    path: str,
    client_id: str | None = None,
    error: str | None = None,
    recorded: datetime | None = None,
    at: datetime | None = None,
) -> Event:
    """An administrator of Keycloak changed something: ``resource`` is its type, ``path`` names it by pseudonyms."""
    ours = compact({"kind": "identity_change", "operation": text(operation), "client_id": maybe(client_id)})
    fields = compact(
        {
            "actor": {"user": ocsf.user(actor or UNKNOWN, kind=2)},
            "entity": {"name": text(path), "type": text(resource)},
            "status_detail": maybe(error),
        }
    )
    return envelope(
        ocsf.ENTITY_MANAGEMENT,
        activity,
        ours=ours,
        at=at,
        original=recorded,
        success=error is None,
        severity=ocsf.LOW if error is None else ocsf.MEDIUM,
        fields=fields,
    )


def identity_reading(*, events: str, since: int | None, kept_since: int, at: datetime | None = None) -> Event:
    """Keycloak's ``events`` (or ``admin-events``) are read from ``kept_since`` (ms) on, as far back as it keeps them.

    ``since`` is how far they had been read: what lies between the two is lost. None: they were never read, or nobody
    knows how far; then entries before this one say what was.
    """
    gap = since is not None and since < kept_since
    ours = {"kind": "identity_reading", "events": text(events), "since": since, "kept_since": kept_since, "gap": gap}
    return envelope(
        ocsf.APPLICATION_LIFECYCLE,
        3,
        ours=compact(ours),
        at=at,
        success=not gap,
        severity=ocsf.MEDIUM if gap else ocsf.INFORMATIONAL,
        fields={"app": {"name": "keycloak", "vendor_name": "Keycloak"}},
    )


def _authentication(  # noqa: PLR0913, PLR0917 - private; both callers above are keyword-only
    kind: str,
    activity: int,
    subject: str | None,
    operation: str,
    client_id: str | None,
    session_id: str | None,
    error: str | None,
    recorded: datetime | None,
    at: datetime | None,
) -> Event:
    fields = compact(
        {
            "user": ocsf.user(subject or UNKNOWN),
            "service": _KEYCLOAK,
            "auth_protocol_id": 4,
            "session": {"uid": text(session_id)} if session_id else None,
            "status_detail": maybe(error),
        }
    )
    return envelope(
        ocsf.AUTHENTICATION,
        activity,
        ours=compact({"kind": kind, "operation": text(operation), "client_id": maybe(client_id)}),
        at=at,
        original=recorded,
        success=error is None,
        severity=ocsf.INFORMATIONAL if error is None else ocsf.LOW,
        fields=fields,
    )
