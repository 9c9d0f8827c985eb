"""Verify the tokens of the site's realm: signature by a key of the realm, then the rules of ``claims``.

The algorithm comes from the realm's own key, never from the token: a token's header only names the key.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import extract_compact

from appliance.identity.claims import LogoutToken, Principal, TokenError, check_access, check_id, check_logout
from appliance.identity.jwks import KeyCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

__all__ = ["LogoutToken", "Principal", "TokenError", "TokenVerifier"]

_MAX_TOKEN_CHARACTERS = 16_384


class TokenVerifier:
    """Verifies access, ID and logout tokens of one issuer for one audience."""

    def __init__(
        self,
        issuer: str,
        audience: str,
        http: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.time,
        keys: KeyCache | None = None,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._keys = keys or KeyCache(f"{issuer}/protocol/openid-connect/certs", http)

    async def ready(self) -> None:
        """Return once the realm's keys are at hand. Raises ``UnavailableError``."""
        await self._keys.ready()

    async def verify(self, token: str) -> Principal:
        """Who an access token speaks for. Raises ``TokenError``, or ``UnavailableError`` without the realm's keys."""
        claims = await self._signed_claims(token)
        return check_access(claims, issuer=self._issuer, audience=self._audience, now=self._clock())

    async def verify_id_token(self, token: str, *, client_id: str, nonce: str) -> Mapping[str, Any]:
        """Claims of the ID token that answers this sign-in. Raises like ``verify``."""
        claims = await self._signed_claims(token)
        return check_id(claims, issuer=self._issuer, client_id=client_id, nonce=nonce, now=self._clock())

    async def verify_logout_token(self, token: str, *, client_id: str) -> LogoutToken:
        """A back-channel logout notice for ``client_id``. Raises like ``verify``."""
        claims = await self._signed_claims(token)
        return check_logout(claims, issuer=self._issuer, client_id=client_id, now=self._clock())

    async def _signed_claims(self, token: str) -> Mapping[str, Any]:
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise TokenError("the token is too long")
        try:
            header: Any = extract_compact(token.encode()).headers()
        except (JoseError, ValueError) as error:
            raise TokenError("the token is no signed token") from error
        kid = header.get("kid") if isinstance(header, dict) else None  # the library lets texts and lists pass
        if not isinstance(kid, str):
            raise TokenError("the token names no key")
        key = await self._keys.get(kid)
        try:
            return jwt.decode(token, key, algorithms=[str(key.alg)]).claims
        except (JoseError, ValueError) as error:
            raise TokenError("the token's signature does not hold") from error
