"""OAuth grants: what is sent, and how answers are told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from appliance.errors import UnavailableError
from appliance.identity.oidc import GrantError, OidcClient, new_code_verifier
from tests.unit.identity.signed import ISSUER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

GRANTED = {"access_token": "a", "refresh_token": "r", "id_token": "i", "expires_in": 300}


class TokenEndpoint:
    """Answers every request with one response and keeps the forms it was sent."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.requests: list[tuple[str, dict[str, str]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.requests.append((request.url.path.removeprefix("/realms/sovereign/protocol/openid-connect"), form))
        return self.response


def with_client(
    act: Callable[[OidcClient], Awaitable[None]], response: httpx.Response, secret: str | None = "web-secret"
) -> TokenEndpoint:
    endpoint = TokenEndpoint(response)

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(endpoint)) as http:
            await act(OidcClient(ISSUER, "client", secret, http))

    anyio.run(run)
    return endpoint


def granted(**changes: Any) -> httpx.Response:
    return httpx.Response(200, json={**GRANTED, **changes})


def test_the_browser_is_sent_with_state_nonce_and_a_hashed_verifier() -> None:
    verifier = new_code_verifier()

    async def act(client: OidcClient) -> None:
        url = await client.authorization_url(
            redirect_uri="https://a.example/cb", state="s&t", nonce="n", code_verifier=verifier, language="fr"
        )
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{ISSUER}/protocol/openid-connect/auth?")
        assert query["state"] == "s&t"
        assert query["code_challenge"] == create_s256_code_challenge(verifier)
        assert query["code_challenge_method"] == "S256"
        assert query["ui_locales"] == "fr"
        assert verifier not in url

    with_client(act, granted())


def test_a_code_is_redeemed_with_secret_and_verifier_in_the_body() -> None:
    async def act(client: OidcClient) -> None:
        tokens = await client.exchange_code(code="c", redirect_uri="https://a.example/cb", code_verifier="v")
        assert (tokens.access_token, tokens.refresh_token, tokens.id_token, tokens.expires_in) == ("a", "r", "i", 300)
        assert "'a'" not in repr(tokens)

    endpoint = with_client(act, granted())
    assert endpoint.requests == [
        (
            "/token",
            {
                "client_id": "client",
                "client_secret": "web-secret",
                "grant_type": "authorization_code",
                "code": "c",
                "redirect_uri": "https://a.example/cb",
                "code_verifier": "v",
            },
        )
    ]


def test_a_public_client_sends_no_secret() -> None:
    async def act(client: OidcClient) -> None:
        await client.refresh("r")

    ((_, form),) = with_client(act, granted(), secret=None).requests
    assert "client_secret" not in form


def test_a_refused_grant_says_which_error_and_nothing_secret() -> None:
    async def act(client: OidcClient) -> None:
        with pytest.raises(GrantError) as refused:
            await client.refresh("the-refresh-token")
        assert refused.value.code == "invalid_grant"
        assert "the-refresh-token" not in str(refused.value)

    with_client(act, httpx.Response(400, json={"error": "invalid_grant", "error_description": "the-refresh-token"}))


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(500),
        httpx.Response(503, text="<html>"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"access_token": "a"}),
        httpx.Response(200, json={"access_token": 7, "expires_in": 300}),
    ],
    ids=["500", "503", "no json", "no object", "empty", "no lifetime", "no text"],
)
def test_an_answer_that_makes_no_sense_is_an_outage(response: httpx.Response) -> None:
    async def act(client: OidcClient) -> None:
        with pytest.raises(UnavailableError):
            await client.client_credentials()

    with_client(act, response)


def test_a_connection_that_fails_is_an_outage() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as http:
            with pytest.raises(UnavailableError):
                await OidcClient(ISSUER, "client", None, http).start_device()

    anyio.run(run)


@pytest.mark.parametrize("code", ["authorization_pending", "slow_down"])
def test_a_device_that_waits_is_told_to_wait_on(code: str) -> None:
    device = {
        "device_code": "d",
        "user_code": "ABCD-EFGH",
        "verification_uri": "https://a.example/device",
        "verification_uri_complete": "https://a.example/device?user_code=ABCD-EFGH",
        "expires_in": 600,
    }

    async def run() -> None:
        endpoint = TokenEndpoint(httpx.Response(200, json=device))
        async with httpx.AsyncClient(transport=httpx.MockTransport(endpoint)) as http:
            client = OidcClient(ISSUER, "client", None, http)
            grant = await client.start_device()
            assert grant.interval == 5
            assert repr(grant) == "DeviceGrant(user_code='ABCD-EFGH')"
            endpoint.response = httpx.Response(400, json={"error": code})
            assert await client.poll_device(grant) is None
            endpoint.response = httpx.Response(400, json={"error": "access_denied"})
            with pytest.raises(GrantError):
                await client.poll_device(grant)
            assert endpoint.requests[1][1]["code_verifier"] == grant.code_verifier

    anyio.run(run)


def test_signing_out_names_the_session_and_the_way_back() -> None:
    async def act(client: OidcClient) -> None:
        url = await client.end_session_url(id_token_hint="i", post_logout_redirect_uri="https://a.example/")
        query = parse_qs(urlsplit(url).query)
        assert query == {
            "id_token_hint": ["i"],
            "post_logout_redirect_uri": ["https://a.example/"],
            "client_id": ["client"],
        }

    with_client(act, granted())
