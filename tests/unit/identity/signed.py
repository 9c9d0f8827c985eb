"""A realm's keys and tokens made by hand, and its key endpoint without a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

if TYPE_CHECKING:
    from collections.abc import Mapping

ISSUER = "https://site.example:8444/realms/sovereign"
AUDIENCE = "sovereign-api"
NOW = 1_800_000_000


def rsa_key(kid: str, alg: str = "RS256") -> RSAKey:
    """A signing key as a realm has one."""
    return RSAKey.generate_key(2048, {"kid": kid, "alg": alg, "use": "sig"})


def ec_key(kid: str) -> ECKey:
    """A signing key on P-256."""
    return ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256", "use": "sig"})


@dataclass
class KeyEndpoint:
    """Hands out ``keys``, counts how often it was asked, and can be down."""

    keys: list[Mapping[str, Any]] = field(default_factory=list)
    asked: int = 0
    down: bool = False

    def publish(self, *keys: RSAKey | ECKey) -> None:
        """Hand out the public halves of ``keys``, and nothing else."""
        self.keys = [key.as_dict(private=False) for key in keys]

    def http(self) -> httpx.AsyncClient:
        """A client that reaches only this endpoint."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == f"{ISSUER}/protocol/openid-connect/certs"
        self.asked += 1
        if self.down:
            return httpx.Response(503)
        return httpx.Response(200, json={"keys": self.keys})


@dataclass
class Clock:
    """Time that moves only when a test says so."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


def access_claims(**changes: Any) -> dict[str, Any]:
    """Claims of a good access token; None removes one."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "typ": "Bearer",
        "exp": NOW + 300,
        "iat": NOW,
        "sub": "2f1c7a9e",
        "sid": "session",
        "azp": "sovereign-web",
        "preferred_username": "analyst",
        "groups": ["analysts"],
        "roles": [],
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def sign(key: RSAKey | ECKey, claims: Mapping[str, Any], **header: Any) -> str:
    """A compact token signed by ``key``."""
    full = {"alg": str(key.alg), "kid": key.kid, **header}
    return jwt.encode({k: v for k, v in full.items() if v is not None}, dict(claims), key, algorithms=[full["alg"]])


def tampered(token: str) -> str:
    """The token with one character of its payload changed."""
    header, payload, signature = token.split(".")
    middle = len(payload) // 2
    flipped = "A" if payload[middle] != "A" else "B"
    return f"{header}.{payload[:middle]}{flipped}{payload[middle + 1 :]}.{signature}"
