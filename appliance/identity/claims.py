"""What a token of the realm must say before anyone acts on it. Pure: signature checks happen in ``tokens``.

Order: type, issuer, times, audience, then what only that kind of token carries. Keycloak states the kind in the claim
``typ`` (Bearer, ID, Refresh, Logout), which keeps an ID or refresh token from passing as an access token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.errors import NotAllowedError

LEEWAY_SECONDS = 10
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_LOGOUT_MAX_AGE_SECONDS = 120
_WEIGHT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?", re.ASCII)
_LEAST_WEIGHT, _MOST_WEIGHT = 0.01, 100.0


class TokenError(NotAllowedError):
    """A token that must not be acted on. The cause names the rule it breaks and never quotes the token."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause, "sign in again")


@dataclass(frozen=True)
class Principal:
    """Who a valid access token speaks for."""

    sub: str
    username: str
    groups: tuple[str, ...]
    roles: tuple[str, ...]
    session_id: str | None
    """Keycloak's session; None for programs, which have none."""
    client_id: str
    expires_at: int
    """Unix time."""
    weight: float | None = None
    """The largest of the weights that Keycloak has for the person's groups; None where it has none."""


@dataclass(frozen=True)
class LogoutToken:
    """A back-channel logout notice (OpenID Connect Back-Channel Logout 1.0, section 2.4)."""

    sub: str | None
    sid: str | None
    jti: str
    expires_at: int


def check_access(claims: Mapping[str, Any], *, issuer: str, audience: str, now: float) -> Principal:
    """The principal of an access token. Raises ``TokenError``."""
    _check_kind(claims, "Bearer")
    _check_issuer(claims, issuer)
    expires_at = _check_times(claims, now)
    if audience not in _audiences(claims):
        raise TokenError("the access token is not for this service")
    return Principal(
        sub=_text(claims, "sub"),
        username=_text(claims, "preferred_username"),
        groups=_names(claims, "groups"),
        roles=_names(claims, "roles"),
        session_id=_optional_text(claims, "sid"),
        client_id=_text(claims, "azp"),
        expires_at=expires_at,
        weight=_weight(_names(claims, "weights")),
    )


def check_id(claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now: float) -> Mapping[str, Any]:
    """The claims of an ID token that answers ``nonce`` (OpenID Connect Core 1.0, 3.1.3.7). Raises ``TokenError``."""
    _check_kind(claims, "ID")
    _check_issuer(claims, issuer)
    _check_times(claims, now)
    _check_only_audience(claims, client_id)
    if claims.get("azp", client_id) != client_id:
        raise TokenError("the id token was issued to another client")
    if claims.get("nonce") != nonce:
        raise TokenError("the id token does not answer this sign-in")
    _text(claims, "sub")
    return claims


def check_logout(claims: Mapping[str, Any], *, issuer: str, client_id: str, now: float) -> LogoutToken:
    """A logout notice for ``client_id`` (Back-Channel Logout 1.0, section 2.6). Raises ``TokenError``.

    A notice is honoured for two minutes: ending a session twice does no harm, a notice kept for a year would.
    """
    _check_kind(claims, "Logout")
    _check_issuer(claims, issuer)
    expires_at = _check_times(claims, now)
    if now - _number(claims, "iat") > _LOGOUT_MAX_AGE_SECONDS:
        raise TokenError("the logout token is too old")
    _check_only_audience(claims, client_id)
    events = claims.get("events")
    if not isinstance(events, Mapping) or not isinstance(events.get(LOGOUT_EVENT), Mapping):
        raise TokenError("the logout token holds no logout event")
    if "nonce" in claims:
        raise TokenError("the logout token holds a nonce")
    sub, sid = _optional_text(claims, "sub"), _optional_text(claims, "sid")
    if sub is None and sid is None:
        raise TokenError("the logout token names neither a person nor a session")
    return LogoutToken(sub=sub, sid=sid, jti=_text(claims, "jti"), expires_at=expires_at)


def _check_kind(claims: Mapping[str, Any], kind: str) -> None:
    if claims.get("typ") != kind:
        raise TokenError(f"the token is not of type {kind}")


def _check_issuer(claims: Mapping[str, Any], issuer: str) -> None:
    if claims.get("iss") != issuer:
        raise TokenError("the token was issued by somebody else")


def _check_times(claims: Mapping[str, Any], now: float) -> int:
    expires_at = _number(claims, "exp")
    if now >= expires_at + LEEWAY_SECONDS:
        raise TokenError("the token has expired")
    if _number(claims, "iat") > now + LEEWAY_SECONDS or _number({"nbf": 0, **claims}, "nbf") > now + LEEWAY_SECONDS:
        raise TokenError("the token is not valid yet")
    return expires_at


def _audiences(claims: Mapping[str, Any]) -> tuple[str, ...]:
    audience = claims.get("aud")
    return (audience,) if isinstance(audience, str) else _names(claims, "aud")


def _check_only_audience(claims: Mapping[str, Any], client_id: str) -> None:
    if _audiences(claims) != (client_id,):
        raise TokenError("the token is for another client")


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = _optional_text(claims, name)
    if value is None:
        raise TokenError(f"the token lacks {name}")
    return value


def _optional_text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise TokenError(f"the token's {name} is no text")
    return value


def _number(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TokenError(f"the token's {name} is no number")
    return value


def _weight(values: tuple[str, ...]) -> float | None:
    """What is no weight (a number from 0.01 to 100, as in site.yaml) is none: a slip there locks nobody out."""
    found = [float(value) for value in values if _WEIGHT.fullmatch(value)]
    return max((one for one in found if _LEAST_WEIGHT <= one <= _MOST_WEIGHT), default=None)


def _names(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TokenError(f"the token's {name} is no list of names")
    return tuple(value)
