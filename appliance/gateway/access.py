"""Page callers: a session cookie; for anything that changes something also a CSRF token and the right Origin."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from appliance.errors import UnavailableError
from appliance.gateway.assembly import gateway_of
from appliance.gateway.callers import Caller
from appliance.gateway.errors import ForbiddenError, NotReadyError, UnauthenticatedError
from appliance.gateway.headers import origin_of
from appliance.gateway.refusals import refusals_logged
from appliance.identity.oidc import GrantError
from appliance.identity.tokens import TokenError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from appliance.gateway.assembly import Gateway
    from appliance.gateway.sessions import Session, SessionData
    from appliance.identity.tokens import Principal

WEB_CLIENT = "sovereign-web"
CSRF_HEADER = "X-CSRF-Token"
_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Visitor:
    """A signed-in person at the page."""

    session: Session
    caller: Caller


async def visitor(request: Request) -> Visitor:
    """The person behind the request. Raises ``UnauthenticatedError``, ``ForbiddenError``, ``NotReadyError``.

    Groups and roles are those of an access token of at most five minutes; when it runs out, Keycloak is asked for
    another, and if Keycloak says no, the session is over.
    """
    found = await open_session(request)
    current = await _current(gateway_of(request), found)
    return Visitor(current, caller_of(current))


@asynccontextmanager
async def visit(request: Request) -> AsyncGenerator[Visitor, None]:
    """The person behind the request, as ``visitor`` finds them; what they are refused inside leaves an entry."""
    person = await visitor(request)
    async with refusals_logged(gateway_of(request), person.caller, request.scope["endpoint"].__name__):
        yield person


async def open_session(request: Request) -> Session:
    """The session of the request's cookie, with the cross-site checks done; Keycloak is not asked.

    Raises ``UnauthenticatedError`` or ``ForbiddenError``.
    """
    gateway = gateway_of(request)
    token = gateway.cookies.read(request, gateway.cookies.session_name())
    found = await gateway.sessions.find(token) if token else None
    if found is None:
        raise UnauthenticatedError("you are not signed in", code="no_session")
    if request.method not in _SAFE:
        async with refusals_logged(gateway, caller_of(found), "page"):
            check_same_site(gateway, request)
            if not gateway.sessions.csrf_matches(found.token, request.headers.get(CSRF_HEADER, "")):
                raise ForbiddenError("the request does not carry this session's token", "reload the page", code="csrf")
    return found


def caller_of(session: Session) -> Caller:
    """The session's person, as the rest of the gateway knows callers."""
    return Caller(session.subject, session.data.groups, WEB_CLIENT, session.data.weight)


def check_same_site(gateway: Gateway, request: Request) -> None:
    """An Origin header, where the browser sends one, must be ours. Raises ``ForbiddenError``."""
    origin = request.headers.get("origin")
    if origin is not None and origin != origin_of(gateway.site.gateway_url):
        raise ForbiddenError("the request comes from another site", code="cross_site")
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise ForbiddenError("the request comes from another site", code="cross_site")


async def _current(gateway: Gateway, found: Session) -> Session:
    async def refresh(session: Session) -> tuple[SessionData, datetime]:
        tokens = await gateway.sign_in.refresh(session.data.refresh_token)
        principal = await gateway.verifier.verify(tokens.access_token)
        data = replace(
            session.data,
            groups=principal.groups,
            weight=principal.weight,
            roles=principal.roles,
            refresh_token=tokens.refresh_token or session.data.refresh_token,
            id_token=tokens.id_token or session.data.id_token,
        )
        return data, expiry(principal)

    try:
        current = await gateway.sessions.refreshed(found, refresh)
    except (TokenError, GrantError) as error:
        await gateway.sessions.end(found.token)
        raise UnauthenticatedError("your sign-in has ended", code="session_ended") from error
    except UnavailableError as error:
        raise NotReadyError("sign-in cannot be checked at the moment", code="identity_unavailable") from error
    if current is None:
        raise UnauthenticatedError("your sign-in has ended", code="session_ended")
    return current


def expiry(principal: Principal) -> datetime:
    """When the principal's access token runs out."""
    return datetime.fromtimestamp(principal.expires_at, UTC)
