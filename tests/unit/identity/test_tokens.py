"""Signatures and keys: whose tokens count, and how often Keycloak is asked for its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from appliance.errors import UnavailableError
from appliance.identity.jwks import MAX_AGE_SECONDS, RETRY_SECONDS, STALE_SECONDS, KeyCache
from appliance.identity.tokens import TokenError, TokenVerifier
from tests.unit.identity.signed import (
    AUDIENCE,
    ISSUER,
    NOW,
    Clock,
    KeyEndpoint,
    access_claims,
    ec_key,
    rsa_key,
    sign,
    tampered,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEY = rsa_key("realm")


def with_verifier(act: Callable[[TokenVerifier, KeyEndpoint, Clock], Awaitable[None]], *keys: Any) -> None:
    endpoint, clock = KeyEndpoint(), Clock(0.0)
    endpoint.publish(*(keys or (KEY,)))

    async def run() -> None:
        async with endpoint.http() as http:
            cache = KeyCache(f"{ISSUER}/protocol/openid-connect/certs", http, clock=clock)
            verifier = TokenVerifier(ISSUER, AUDIENCE, http, clock=lambda: NOW, keys=cache)
            await act(verifier, endpoint, clock)

    anyio.run(run)


@pytest.mark.parametrize("key", [KEY, rsa_key("pss", "PS256"), ec_key("curve")], ids=lambda key: str(key.alg))
def test_a_token_of_the_realm_is_accepted(key: Any) -> None:
    async def act(verifier: TokenVerifier, _endpoint: KeyEndpoint, _clock: Clock) -> None:
        assert (await verifier.verify(sign(key, access_claims()))).username == "analyst"

    with_verifier(act, key)


def test_a_changed_token_is_refused() -> None:
    async def act(verifier: TokenVerifier, _endpoint: KeyEndpoint, _clock: Clock) -> None:
        with pytest.raises(TokenError, match="signature does not hold"):
            await verifier.verify(tampered(sign(KEY, access_claims())))

    with_verifier(act)


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c", "....", "é.é.é", "e30.e30.", "x" * 20_000])
def test_what_is_no_token_is_refused(text: str) -> None:
    async def act(verifier: TokenVerifier, endpoint: KeyEndpoint, _clock: Clock) -> None:
        with pytest.raises(TokenError):
            await verifier.verify(text)
        assert endpoint.asked == 0

    with_verifier(act)


def test_keys_are_fetched_once_for_many_tokens() -> None:
    async def act(verifier: TokenVerifier, endpoint: KeyEndpoint, _clock: Clock) -> None:
        token = sign(KEY, access_claims())
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(verifier.verify, token)
        assert endpoint.asked == 1

    with_verifier(act)


def test_a_new_key_of_the_realm_is_learned_from_its_first_token() -> None:
    async def act(verifier: TokenVerifier, endpoint: KeyEndpoint, clock: Clock) -> None:
        await verifier.verify(sign(KEY, access_claims()))
        rotated = rsa_key("rotated")
        endpoint.publish(KEY, rotated)
        clock.now += RETRY_SECONDS
        await verifier.verify(sign(rotated, access_claims()))
        assert endpoint.asked == 2

    with_verifier(act)


def test_unknown_keys_cannot_make_the_verifier_ask_at_will() -> None:
    async def act(verifier: TokenVerifier, endpoint: KeyEndpoint, _clock: Clock) -> None:
        await verifier.verify(sign(KEY, access_claims()))
        for number in range(10):
            with pytest.raises(TokenError, match="unknown key"):
                await verifier.verify(sign(KEY, access_claims(), kid=f"made-up-{number}"))
        assert endpoint.asked == 1

    with_verifier(act)


def test_a_withdrawn_key_stops_counting() -> None:
    async def act(verifier: TokenVerifier, endpoint: KeyEndpoint, clock: Clock) -> None:
        token = sign(KEY, access_claims())
        await verifier.verify(token)
        endpoint.publish(rsa_key("other"))
        clock.now += MAX_AGE_SECONDS + 1
        with pytest.raises(TokenError, match="unknown key"):
            await verifier.verify(token)

    with_verifier(act)


def test_known_keys_serve_on_while_keycloak_restarts_but_not_for_ever() -> None:
    async def act(verifier: TokenVerifier, endpoint: KeyEndpoint, clock: Clock) -> None:
        token = sign(KEY, access_claims())
        await verifier.verify(token)
        endpoint.down = True
        clock.now += MAX_AGE_SECONDS + 1
        await verifier.verify(token)
        clock.now += STALE_SECONDS
        for _ in range(2):  # the one that asks Keycloak, and those that come before it may be asked again
            with pytest.raises(UnavailableError):
                await verifier.verify(token)

    with_verifier(act)


def test_without_any_key_nothing_is_ready_and_nothing_verifies() -> None:
    async def act(verifier: TokenVerifier, endpoint: KeyEndpoint, _clock: Clock) -> None:
        endpoint.down = True
        with pytest.raises(UnavailableError):
            await verifier.ready()
        with pytest.raises(UnavailableError):
            await verifier.verify(sign(KEY, access_claims()))
        endpoint.down = False
        await verifier.ready()

    with_verifier(act)


def test_keys_for_encryption_and_of_other_algorithms_are_no_signing_keys() -> None:
    async def act(verifier: TokenVerifier, endpoint: KeyEndpoint, _clock: Clock) -> None:
        public = KEY.as_dict(private=False)
        endpoint.keys = [{**public, "use": "enc", "alg": "RSA-OAEP"}, {**public, "alg": "RS1"}, {"kty": "odd"}]
        with pytest.raises(UnavailableError, match="no signing key"):
            await verifier.verify(sign(KEY, access_claims()))

    with_verifier(act)
