"""Who signed in and out through the gateway. Pure; everything by keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit import ocsf
from appliance.audit.ocsf import Event, compact, envelope, maybe, text

if TYPE_CHECKING:
    from datetime import datetime

Groups = tuple[str, ...]
_IDENTITY = {"name": "identity"}


def sign_in(  # noqa: PLR0913 - the fields of a sign-in, by keyword
    *,
    subject: str,
    groups: Groups = (),
    session_id: str | None = None,
    client_id: str | None = None,
    success: bool = True,
    reason: str | None = None,
    at: datetime | None = None,
) -> Event:
    """A sign-in through Keycloak, or a refused one (``success`` False, with ``reason``)."""
    return _authentication(1, subject, groups, session_id, client_id, success, reason, at, "sign_in")


def sign_out(  # noqa: PLR0913 - the fields of a sign-out, by keyword
    *,
    subject: str,
    groups: Groups = (),
    session_id: str | None = None,
    client_id: str | None = None,
    reason: str | None = None,
    at: datetime | None = None,
) -> Event:
    """The end of a session: by the user, or by Keycloak's back channel (``reason``)."""
    return _authentication(2, subject, groups, session_id, client_id, True, reason, at, "sign_out")  # noqa: FBT003 - a sign-out cannot fail


def _authentication(  # noqa: PLR0913, PLR0917 - private; both callers above are keyword-only
    activity: int,
    subject: str,
    groups: Groups,
    session_id: str | None,
    client_id: str | None,
    success: bool,  # noqa: FBT001 - an OCSF field, not a switch
    reason: str | None,
    at: datetime | None,
    kind: str,
) -> Event:
    fields = compact(
        {
            "user": ocsf.user(subject, groups),
            "service": _IDENTITY,
            "auth_protocol_id": 4,
            "session": {"uid": text(session_id)} if session_id else None,
            "status_detail": maybe(reason),
        }
    )
    ours = compact({"kind": kind, "client_id": maybe(client_id)})
    return envelope(
        ocsf.AUTHENTICATION,
        activity,
        ours=ours,
        at=at,
        success=success,
        severity=ocsf.INFORMATIONAL if success else ocsf.LOW,
        fields=fields,
    )
