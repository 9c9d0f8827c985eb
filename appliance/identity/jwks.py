"""The realm's public keys: fetched once, fetched again when a token names a key not seen before, but not at will.

Anybody can send a token with an unknown key id, so refreshing is limited to once in ``RETRY_SECONDS``; and a key that
the realm withdrew stops counting after ``MAX_AGE_SECONDS``. While Keycloak restarts, known keys serve on until
``STALE_SECONDS``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey, import_key

from appliance.errors import UnavailableError
from appliance.identity.claims import TokenError

if TYPE_CHECKING:
    from collections.abc import Callable

ALGORITHMS = ("RS256", "PS256", "ES256")
RETRY_SECONDS = 10.0
MAX_AGE_SECONDS = 600.0
STALE_SECONDS = 3600.0

SigningKey = RSAKey | ECKey


class KeyCache:
    """Signing keys of one realm by key id. One instance per process; safe among concurrent tasks."""

    def __init__(self, url: str, http: httpx.AsyncClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._http = http
        self._clock = clock
        self._keys: dict[str, SigningKey] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = anyio.Lock()  # one fetch at a time; guards the three fields above while it lasts

    async def get(self, kid: str) -> SigningKey:
        """The key ``kid``. Raises ``TokenError`` when the realm has none, ``UnavailableError`` without the realm."""
        if kid not in self._keys or self._age() > MAX_AGE_SECONDS:
            await self._refresh(kid)
        try:
            return self._keys[kid]
        except KeyError:
            raise TokenError("the token is signed by an unknown key") from None

    async def ready(self) -> None:
        """Fetch the keys unless they are at hand. Raises ``UnavailableError``."""
        if not self._keys:
            await self._refresh(None)

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    async def _refresh(self, kid: str | None) -> None:
        async with self._lock:
            if kid in self._keys and self._age() <= MAX_AGE_SECONDS:
                return  # another task fetched while this one waited
            if self._keys and self._clock() - self._tried_at < RETRY_SECONDS:
                if self._age() > STALE_SECONDS:
                    raise UnavailableError("keycloak does not hand out its keys", "run `sovereign status`")
                return
            self._tried_at = self._clock()
            try:
                self._keys = signing_keys(await self._fetch())
                self._fetched_at = self._clock()
            except UnavailableError:
                if not self._keys or self._age() > STALE_SECONDS:
                    raise

    async def _fetch(self) -> Any:
        try:
            answer = await self._http.get(self._url)
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise UnavailableError("keycloak does not hand out its keys", "run `sovereign status`") from error


def signing_keys(document: Any) -> dict[str, SigningKey]:
    """Public signing keys of a JWKS document with a listed algorithm; others (for encryption) are ignored."""
    keys: dict[str, SigningKey] = {}
    entries = document.get("keys", []) if isinstance(document, dict) else []
    for entry in entries:
        if entry.get("use") != "sig" or entry.get("alg") not in ALGORITHMS or not entry.get("kid"):
            continue
        try:
            key = import_key({name: entry[name] for name in entry if not name.startswith("x5")})
        except JoseError:
            continue  # a key of another kind says nothing about the rest
        if isinstance(key, RSAKey | ECKey):
            keys[entry["kid"]] = key
    if not keys:
        raise UnavailableError("keycloak hands out no signing key", "run `sovereign status`")
    return keys
