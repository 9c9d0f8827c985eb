"""Signing in and out of the page: authorization code with PKCE, state and nonce; logout here, there, and from afar.

What a sign-in under way must remember (nonce, PKCE verifier, where to return) lies sealed in a cookie of the browser
that began it, named after the state: no gateway keeps it, and a callback in another browser finds nothing.
"""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import structlog
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from appliance.errors import UnavailableError
from appliance.gateway.access import WEB_CLIENT, caller_of, expiry, open_session
from appliance.gateway.assembly import gateway_of
from appliance.gateway.body import MAX_FORM, read_bytes
from appliance.gateway.callers import Caller
from appliance.gateway.errors import HttpError, MalformedError, NotReadyError, UnauthenticatedError
from appliance.gateway.pseudonyms import subject_of
from appliance.gateway.sealing import SealError, seal, unseal
from appliance.gateway.sessions import SessionData
from appliance.identity.oidc import GrantError
from appliance.identity.tokens import TokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from appliance.gateway.assembly import Gateway
    from appliance.identity.tokens import Principal

_log = structlog.get_logger(__name__)
_SIGN_IN_SECONDS = 600
_REMOTE_LOGOUT = "back-channel"
_REMEMBERED = timedelta(minutes=5)  # a token's id is kept longer than the token could be accepted


@dataclass(frozen=True)
class _Attempt:
    """A sign-in under way."""

    nonce: str
    verifier: str
    target: str
    until: float


def callback_url(gateway: Gateway) -> str:
    """The redirect URI registered with Keycloak."""
    return f"{gateway.site.gateway_url}/auth/callback"


async def login(request: Request) -> Response:
    """GET /auth/login?next=PATH: off to Keycloak."""
    gateway = gateway_of(request)
    state = secrets.token_urlsafe(32)
    attempt = _Attempt(
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(64),
        target=local_path(request.query_params.get("next", "/")),
        until=time.time() + _SIGN_IN_SECONDS,
    )
    try:
        url = await gateway.sign_in.authorization_url(
            redirect_uri=callback_url(gateway), state=state, nonce=attempt.nonce, code_verifier=attempt.verifier
        )
    except UnavailableError as error:
        raise NotReadyError("sign-in does not answer at the moment", code="identity_unavailable") from error
    response = RedirectResponse(url, status_code=302)
    cookies = gateway.cookies
    cookies.write(response, cookies.login_name(state), _sealed(gateway, state, attempt), max_age=_SIGN_IN_SECONDS)
    return response


async def callback(request: Request) -> Response:
    """GET /auth/callback: back from Keycloak. A failure returns to the page, which says so (``?problem=CODE``)."""
    gateway = gateway_of(request)
    state = request.query_params.get("state", "")
    cookie = gateway.cookies.login_name(state)
    try:
        token, target = await _signed_in(gateway, request, state)
    except HttpError as error:
        _log.info("sign-in failed", code=error.code, cause=error.cause)
        response = RedirectResponse(f"/?problem={error.code}", status_code=302)
    else:
        response = RedirectResponse(target, status_code=302)
        gateway.cookies.write(response, gateway.cookies.session_name(), token)
    gateway.cookies.remove(response, cookie)
    return response


async def logout(request: Request) -> Response:
    """POST /auth/logout: end the session here, and say where to end it at Keycloak."""
    gateway = gateway_of(request)
    session = await open_session(request)
    await gateway.sessions.end(session.token)
    await gateway.ledger.sign_out(caller=caller_of(session), session_id=session.sid)
    home = f"{gateway.site.gateway_url}/"
    try:
        redirect = await gateway.sign_in.end_session_url(
            id_token_hint=session.data.id_token, post_logout_redirect_uri=home
        )
    except UnavailableError:
        redirect = home
    response = JSONResponse({"redirect": redirect})
    gateway.cookies.remove(response, gateway.cookies.session_name())
    return response


async def backchannel_logout(request: Request) -> Response:
    """POST /auth/backchannel-logout (OpenID Connect Back-Channel Logout 1.0): Keycloak ends sessions here.

    Refusals are 400, as the specification asks; a logout token works once.
    """
    gateway = gateway_of(request)
    raw = await read_bytes(request, MAX_FORM)
    offered = parse_qs(raw.decode("ascii", "replace"), max_num_fields=10).get("logout_token", [])
    if len(offered) != 1:
        raise MalformedError("exactly one logout_token is expected", code="invalid_logout_token")
    try:
        token = await gateway.verifier.verify_logout_token(offered[0], client_id=WEB_CLIENT)
    except TokenError as error:
        raise MalformedError("the logout token is not valid here", code="invalid_logout_token") from error
    except UnavailableError as error:
        raise NotReadyError("sign-in cannot be checked at the moment", code="identity_unavailable") from error
    if not await gateway.sessions.first_use(token.jti, datetime.fromtimestamp(token.expires_at, UTC) + _REMEMBERED):
        raise MalformedError("the logout token was used before", code="invalid_logout_token")
    subject = subject_of(token.sub, gateway.keys.pseudonym) if token.sub is not None else None
    for ended in await gateway.sessions.end_remotely(subject=subject, sid=token.sid):
        caller = Caller(ended, (), WEB_CLIENT)
        await gateway.ledger.sign_out(caller=caller, session_id=token.sid, reason=_REMOTE_LOGOUT)
    return Response(status_code=200)


async def _signed_in(gateway: Gateway, request: Request, state: str) -> tuple[str, str]:
    """The new session's id and where to go. Raises ``HttpError``; then there is no session."""
    attempt = _opened(gateway, request, state)
    code = request.query_params.get("code")
    if code is None:
        raise UnauthenticatedError("Keycloak did not sign you in", code="sign_in_refused")
    try:
        tokens = await gateway.sign_in.exchange_code(
            code=code, redirect_uri=callback_url(gateway), code_verifier=attempt.verifier
        )
        claims = await gateway.verifier.verify_id_token(
            tokens.id_token or "", client_id=WEB_CLIENT, nonce=attempt.nonce
        )
        principal = await gateway.verifier.verify(tokens.access_token)
        _check_one_person(claims, principal)
    except (TokenError, GrantError) as error:
        refusal = UnauthenticatedError("the sign-in could not be verified", code="sign_in_refused")
        await gateway.ledger.refusal(refusal, None, operation="sign-in")
        raise refusal from error
    except UnavailableError as error:
        raise NotReadyError("sign-in does not answer at the moment", code="identity_unavailable") from error
    caller = Caller(subject_of(principal.sub, gateway.keys.pseudonym), principal.groups, WEB_CLIENT, principal.weight)
    await gateway.ledger.sign_in(caller=caller, session_id=principal.session_id)
    data = SessionData(
        username=principal.username,
        groups=principal.groups,
        weight=principal.weight,
        roles=principal.roles,
        refresh_token=tokens.refresh_token or "",
        id_token=tokens.id_token or "",
    )
    token = await gateway.sessions.create(caller.subject, principal.session_id, data, expiry(principal))
    return token, attempt.target


def _check_one_person(claims: Mapping[str, Any], principal: Principal) -> None:
    if claims["sub"] != principal.sub:
        raise TokenError("the id token and the access token name different people")


def local_path(target: str) -> str:
    """``target`` if it is a path of this origin, else ``/``: a sign-in must not end on another site."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain and "\\" not in target else "/"


def _sealed(gateway: Gateway, state: str, attempt: _Attempt) -> str:
    raw = json.dumps([attempt.nonce, attempt.verifier, attempt.target, attempt.until]).encode()
    return urlsafe_b64encode(seal(gateway.keys.session, raw, bound_to=f"login:{state}")).decode()


def _opened(gateway: Gateway, request: Request, state: str) -> _Attempt:
    value = gateway.cookies.read(request, gateway.cookies.login_name(state)) or ""
    try:
        raw = unseal(gateway.keys.session, urlsafe_b64decode(value), bound_to=f"login:{state}")
    except (SealError, ValueError) as error:
        raise MalformedError("this sign-in was not begun in this browser", code="sign_in_unknown") from error
    attempt = _Attempt(*json.loads(raw))
    if attempt.until < time.time():
        raise MalformedError("the sign-in took too long", code="sign_in_expired")
    return attempt


routes = [
    Route("/auth/login", login, methods=["GET"]),
    Route("/auth/callback", callback, methods=["GET"]),
    Route("/auth/logout", logout, methods=["POST"]),
    Route("/auth/backchannel-logout", backchannel_logout, methods=["POST"]),
]
