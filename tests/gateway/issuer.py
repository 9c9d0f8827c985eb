"""A small key server in place of Keycloak: signs tokens with a key of its own and hands out the public half."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

AUDIENCE = "sovereign-api"


def new_key(kid: str) -> RSAKey:
    """A fresh signing key."""
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": kid})


@dataclass
class KeyServer:
    """Issues tokens as the realm does."""

    issuer: str
    key: RSAKey = field(default_factory=lambda: new_key("realm-key"))

    def token(self, name: str, *groups: str, key: RSAKey | None = None, **claims: Any) -> str:
        """An access token for somebody named for their role."""
        now = int(time.time())
        body = {
            "iss": self.issuer,
            "aud": [AUDIENCE],
            "typ": "Bearer",
            "sub": f"sub-{name}",
            "azp": "sovereign-cli",
            "preferred_username": name,
            "groups": list(groups),
            "roles": [],
            "iat": now,
            "exp": now + 300,
            **claims,
        }
        signing = key or self.key
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, body, signing)

    def http(self) -> httpx.AsyncClient:
        """A client that reaches this server and nothing else."""
        keys = {"keys": [self.key.as_dict(private=False)]}
        app = Starlette(routes=[Route("/realms/sovereign/protocol/openid-connect/certs", lambda _: JSONResponse(keys))])
        return httpx.AsyncClient(transport=httpx.ASGITransport(app))
