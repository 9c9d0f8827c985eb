"""Forged tokens: every way of choosing the key or the algorithm from inside the token is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import anyio
import pytest
from joserfc.jwk import RSAKey

from appliance.identity.tokens import TokenError, TokenVerifier
from tests.unit.identity.signed import AUDIENCE, ISSUER, NOW, KeyEndpoint, access_claims, ec_key, rsa_key, sign

REALM_KEY = rsa_key("realm")
FOREIGN_KEY = rsa_key("realm")


def _part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(algorithm: str) -> str:
    """No signature at all."""
    return f"{_part({'alg': algorithm, 'kid': 'realm'})}.{_part(access_claims())}."


def signed_with_the_public_key_as_a_password(key: RSAKey) -> str:
    """HS256 keyed with what everybody knows: the realm's public key."""
    body = f"{_part({'alg': 'HS256', 'kid': 'realm'})}.{_part(access_claims())}"
    mac = hmac.new(key.as_pem(private=False), body.encode(), hashlib.sha256).digest()
    return f"{body}.{_part(mac)}"


def with_algorithm(key: RSAKey, algorithm: str) -> RSAKey:
    """The same key, said to be for another algorithm."""
    return RSAKey.import_key({**key.as_dict(private=True), "alg": algorithm})


FORGERIES = {
    "no algorithm": unsigned("none"),
    "no algorithm, spelled otherwise": unsigned("nOnE"),
    "an empty signature": unsigned("RS256"),
    "a public key as a password": signed_with_the_public_key_as_a_password(REALM_KEY),
    "a foreign key under the realm's name": sign(FOREIGN_KEY, access_claims()),
    "a key brought along": sign(FOREIGN_KEY, access_claims(), jwk=FOREIGN_KEY.as_dict(private=False)),
    "a key to be fetched": sign(FOREIGN_KEY, access_claims(), jku="https://elsewhere.example/keys"),
    "a file as the key's name": sign(FOREIGN_KEY, access_claims(), kid="/dev/null"),
    "another algorithm of the same key": sign(with_algorithm(REALM_KEY, "PS256"), access_claims()),
    "another kind of key under the realm's name": sign(ec_key("realm"), access_claims()),
    "no key named": sign(FOREIGN_KEY, access_claims(), kid=None),
    "a header that is a text": f"{_part('alg')}.{_part({})}.AAAA",
    "a header that is a list": f"{_part(['alg', 'kid'])}.{_part({})}.AAAA",
    "a header that is a number": f"{_part(1)}.{_part({})}.AAAA",
    "a header that never ends": f"{_part(b'[' * 300)}.{_part({})}.AAAA",
    "a key named by a list": f"{_part({'alg': 'RS256', 'kid': ['realm']})}.{_part({})}.AAAA",
}


@pytest.mark.parametrize("token", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_token_is_refused(token: str) -> None:
    endpoint = KeyEndpoint()
    endpoint.publish(REALM_KEY)

    async def run() -> None:
        async with endpoint.http() as http:
            verifier = TokenVerifier(ISSUER, AUDIENCE, http, clock=lambda: NOW)
            await verifier.verify(sign(REALM_KEY, access_claims()))
            with pytest.raises(TokenError):
                await verifier.verify(token)

    anyio.run(run)
