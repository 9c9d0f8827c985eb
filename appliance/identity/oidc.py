"""OAuth grants against the site's realm: authorization code with PKCE, refresh, device, client credentials, sign-out.

Answers are read strictly, and errors are told apart: ``UnavailableError`` when Keycloak cannot be asked or fails,
``GrantError`` when it refuses the grant (``code`` is OAuth's error code). Tokens and secrets are in no message.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
from authlib.common.security import generate_token
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from appliance.errors import NotAllowedError, UnavailableError

_SCOPE = "openid"
_SERVER_ERROR = 500
_OK = 200
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class GrantError(NotAllowedError):
    """Keycloak refused a grant. ``code`` is the OAuth error code (RFC 6749, 5.2; RFC 8628, 3.5)."""

    def __init__(self, code: str) -> None:
        super().__init__(f"sign-in was refused: {code}", "sign in again")
        self.code = code


@dataclass(frozen=True)
class Tokens:
    """What a grant yields."""

    access_token: str
    refresh_token: str | None
    id_token: str | None
    expires_in: int
    """Lifetime of the access token in seconds, from now."""

    def __repr__(self) -> str:
        return f"Tokens(expires_in={self.expires_in})"


@dataclass(frozen=True)
class DeviceGrant:
    """A device authorization that waits for a person (RFC 8628, 3.2)."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_at: float
    interval: float
    code_verifier: str

    def __repr__(self) -> str:
        return f"DeviceGrant(user_code={self.user_code!r})"


def new_code_verifier() -> str:
    """A PKCE code verifier (RFC 7636, 4.1)."""
    return str(generate_token(64))


class OidcClient:
    """One OAuth client of the realm ``issuer``. ``client_secret`` is None for public clients.

    ``http`` carries the trust in the site's CA; it is the caller's to close.
    """

    def __init__(self, issuer: str, client_id: str, client_secret: str | None, http: httpx.AsyncClient) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._http = http
        self._endpoints = f"{issuer}/protocol/openid-connect"

    async def authorization_url(
        self, *, redirect_uri: str, state: str, nonce: str, code_verifier: str, language: str | None = None
    ) -> str:
        """Where to send the browser. The caller keeps ``state``, ``nonce`` and ``code_verifier`` for the callback."""
        return str(
            prepare_grant_uri(
                f"{self._endpoints}/auth",
                self._client_id,
                "code",
                redirect_uri=redirect_uri,
                scope=_SCOPE,
                state=state,
                nonce=nonce,
                code_challenge=create_s256_code_challenge(code_verifier),
                code_challenge_method="S256",
                ui_locales=language,
            )
        )

    async def exchange_code(self, *, code: str, redirect_uri: str, code_verifier: str) -> Tokens:
        """Redeem the code of the callback; each works once."""
        return await self._grant(
            "authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=code_verifier
        )

    async def refresh(self, refresh_token: str) -> Tokens:
        """New tokens. The refresh token is spent by this: keep the new one, or the session is lost."""
        return await self._grant("refresh_token", refresh_token=refresh_token)

    async def client_credentials(self) -> Tokens:
        """Tokens for the client itself: a program, without a person."""
        return await self._grant("client_credentials", scope=_SCOPE)

    async def end_session_url(self, *, id_token_hint: str, post_logout_redirect_uri: str) -> str:
        """Where to send the browser to sign out everywhere (OpenID Connect RP-Initiated Logout 1.0)."""
        query = {
            "id_token_hint": id_token_hint,
            "post_logout_redirect_uri": post_logout_redirect_uri,
            "client_id": self._client_id,
        }
        return f"{self._endpoints}/logout?{urlencode(query)}"

    async def end_session(self, refresh_token: str) -> None:
        """Sign out without a browser: Keycloak ends the session that ``refresh_token`` belongs to."""
        await self._post(f"{self._endpoints}/logout", {"refresh_token": refresh_token})

    async def start_device(self) -> DeviceGrant:
        """Begin a device authorization; a person then opens the URL and confirms the code."""
        verifier = new_code_verifier()
        challenge = create_s256_code_challenge(verifier)
        form = {"scope": _SCOPE, "code_challenge": challenge, "code_challenge_method": "S256"}
        answer = await self._post(f"{self._endpoints}/auth/device", form)
        return DeviceGrant(
            device_code=_text(answer, "device_code"),
            user_code=_text(answer, "user_code"),
            verification_uri=_text(answer, "verification_uri"),
            verification_uri_complete=_text(answer, "verification_uri_complete"),
            expires_at=time.monotonic() + _seconds(answer, "expires_in"),
            interval=float(answer.get("interval", 5)),
            code_verifier=verifier,
        )

    async def poll_device(self, grant: DeviceGrant) -> Tokens | None:
        """Tokens once the person confirmed; None while they have not. Call no more often than ``grant.interval``.

        Raises ``GrantError`` with ``access_denied`` or ``expired_token`` when there is nothing left to wait for.
        """
        try:
            return await self._grant(_DEVICE_GRANT, device_code=grant.device_code, code_verifier=grant.code_verifier)
        except GrantError as error:
            if error.code in {"authorization_pending", "slow_down"}:
                return None
            raise

    async def _grant(self, grant_type: str, **fields: str) -> Tokens:
        answer = await self._post(f"{self._endpoints}/token", {"grant_type": grant_type, **fields})
        return Tokens(
            access_token=_text(answer, "access_token"),
            refresh_token=answer.get("refresh_token"),
            id_token=answer.get("id_token"),
            expires_in=_seconds(answer, "expires_in"),
        )

    async def _post(self, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """Post as this client. The secret goes into the body, which no log of ours or Keycloak's holds."""
        secret = {} if self._client_secret is None else {"client_secret": self._client_secret}
        try:
            answer = await self._http.post(url, data={"client_id": self._client_id, **secret, **form})
        except httpx.HTTPError as error:
            raise UnavailableError("keycloak does not answer", "run `sovereign status`") from error
        if answer.status_code >= _SERVER_ERROR:
            raise UnavailableError(f"keycloak fails with status {answer.status_code}", "run `sovereign status`")
        body = _json(answer)
        if answer.is_error:
            raise GrantError(str(body.get("error", answer.status_code)))
        return body


def _json(answer: httpx.Response) -> Mapping[str, Any]:
    if not answer.content:
        return {}
    try:
        body = answer.json()
    except ValueError as error:
        raise UnavailableError("keycloak answers something else than json", "run `sovereign status`") from error
    if not isinstance(body, Mapping):
        raise UnavailableError("keycloak answers something else than an object", "run `sovereign status`")
    return body


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise UnavailableError(f"keycloak's answer lacks {name}", "run `sovereign status`")
    return value


def _seconds(answer: Mapping[str, Any], name: str) -> int:
    value = answer.get(name)
    if not isinstance(value, int):
        raise UnavailableError(f"keycloak's answer lacks {name}", "run `sovereign status`")
    return value
