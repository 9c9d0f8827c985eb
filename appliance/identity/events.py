"""Keycloak's own events, as the log records them. Pure.

``EventRepresentation`` tells what people and programs did at Keycloak, ``AdminEventRepresentation`` what administrators
changed there. Successes that only repeat a sign-in (a code redeemed, a token renewed) are left out; whatever failed is
not, and neither is what this table does not know. People are named by pseudonyms only, also in the paths of what was
changed. Entries bear the time of their logging, as all do, and Keycloak's time beside it.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from appliance.audit import events_identity
from appliance.audit.roles import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from appliance.audit.ocsf import Event

Named = tuple[str, "Event"]
"""An entry's id and its event."""

_ECHOES = frozenset(
    {
        "CODE_TO_TOKEN",
        "INTROSPECT_TOKEN",
        "OAUTH2_DEVICE_AUTH",
        "OAUTH2_DEVICE_CODE_TO_TOKEN",
        "OAUTH2_DEVICE_VERIFY_USER_CODE",
        "REFRESH_TOKEN",
        "RESTART_AUTHENTICATION",
        "USER_INFO_REQUEST",
    }
)
_SIGN_INS = _ECHOES | {"LOGIN", "CLIENT_LOGIN", "IDENTITY_PROVIDER_LOGIN", "IMPERSONATE"}
_SIGN_OUTS = frozenset({"LOGOUT"})
_OTHER = 99
_ACCOUNT = {
    "REGISTER": 1,
    "UPDATE_PASSWORD": 3,
    "RESET_PASSWORD": 4,
    "USER_DISABLED_BY_PERMANENT_LOCKOUT": 5,
    "DELETE_ACCOUNT": 6,
    "USER_DISABLED_BY_TEMPORARY_LOCKOUT": 9,
    "UPDATE_TOTP": 10,
    "REMOVE_TOTP": 11,
}
_CHANGES = {"CREATE": 1, "UPDATE": 3, "DELETE": 4, "ACTION": 3}
_FAILED = "_ERROR"
_USER_PATH = re.compile(r"\busers/([0-9a-fA-F-]{36})")


def user_entry(event: Mapping[str, Any], name: Callable[[str], str], at: datetime | None = None) -> Named | None:
    """The entry of an ``EventRepresentation``; None when there is to be none. ``name`` gives a person's pseudonym.

    ``at`` is when it is logged (now when None).
    """
    kind = str(event.get("type") or "")
    operation = kind.removesuffix(_FAILED)
    error = _text(event, "error") or ("failed" if kind.endswith(_FAILED) else None)
    if operation in _ECHOES and error is None:
        return None
    who = _text(event, "userId")
    subject = name(who) if who else None
    happened = _moment(event)
    if operation in _SIGN_INS or operation in _SIGN_OUTS:
        build = events_identity.identity_sign_out if operation in _SIGN_OUTS else events_identity.identity_sign_in
        made = build(
            subject=subject,
            operation=operation,
            client_id=_client(event, error),
            session_id=_text(event, "sessionId"),
            error=error,
            recorded=happened,
            at=at,
        )
    else:
        activity = _ACCOUNT.get(operation, _OTHER)
        made = events_identity.account_change(
            subject=subject,
            operation=operation or "unnamed",
            activity=activity,
            error=error,
            recorded=happened,
            at=at,
        )
    return _id("event", event), made


def admin_entry(event: Mapping[str, Any], name: Callable[[str], str], at: datetime | None = None) -> Named:
    """The entry of an ``AdminEventRepresentation``, as ``user_entry``."""
    operation = str(event.get("operationType") or "unnamed")
    found = event.get("authDetails")
    actor = found if isinstance(found, dict) else {}
    who = _text(actor, "userId")
    made = events_identity.identity_change(
        actor=name(who) if who else None,
        activity=_CHANGES.get(operation, _CHANGES["ACTION"]),
        operation=operation,
        resource=str(event.get("resourceType") or "unnamed"),
        path=_USER_PATH.sub(lambda user: f"users/{name(user[1])}", str(event.get("resourcePath") or "")),
        client_id=_text(actor, "clientId"),
        error=_text(event, "error"),
        recorded=_moment(event),
        at=at,
    )
    return _id("admin", event), made


def recorded_at(event: Mapping[str, Any]) -> int:
    """When Keycloak recorded it, in milliseconds; 0 when it does not say."""
    at = event.get("time")
    return at if type(at) is int and at >= 0 else 0


def _moment(event: Mapping[str, Any]) -> datetime | None:
    """When Keycloak says that it was; None where it says nothing that the calendar has."""
    at = recorded_at(event)
    try:
        return datetime.fromtimestamp(at / 1000, UTC) if at else None
    except (OverflowError, ValueError, OSError):
        return None


def _id(source: str, event: Mapping[str, Any]) -> str:
    """Keycloak's own id, so that reading it twice logs it once; a digest of the event where it gave none."""
    given = _text(event, "id")
    return IDENTITY.id(source, given or hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest())


def _client(event: Mapping[str, Any], error: str | None) -> str | None:
    """The client's id, unless Keycloak knows no such client: then it is what somebody typed."""
    return None if error == "client_not_found" else _text(event, "clientId")


def _text(event: Mapping[str, Any], field: str) -> str | None:
    value = event.get(field)
    return value if isinstance(value, str) and value else None
