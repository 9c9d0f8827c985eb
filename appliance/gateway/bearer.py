"""API callers: a bearer token from Keycloak, checked before a byte of the body is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.errors import UnavailableError
from appliance.gateway.callers import Caller
from appliance.gateway.errors import NotReadyError, UnauthenticatedError
from appliance.gateway.pseudonyms import subject_of
from appliance.identity.tokens import TokenError

if TYPE_CHECKING:
    from starlette.requests import Request

    from appliance.gateway.assembly import Gateway


async def api_caller(gateway: Gateway, request: Request) -> Caller:
    """The caller. Raises ``UnauthenticatedError`` (a bad token leaves a log entry), ``NotReadyError``."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError("a bearer token is needed", "sign in with Keycloak", code="missing_token")
    try:
        principal = await gateway.verifier.verify(token)
    except TokenError as error:
        refusal = UnauthenticatedError("the token is not valid here", "sign in again", code="invalid_token")
        await gateway.ledger.refusal(refusal, None, operation=request.url.path)
        raise refusal from error
    except UnavailableError as error:
        raise NotReadyError("sign-in cannot be checked at the moment", code="identity_unavailable") from error
    subject = subject_of(principal.sub, gateway.keys.pseudonym)
    return Caller(subject, principal.groups, principal.client_id, principal.weight)
