"""Device authorization: a terminal waits while its person signs in and consents in a browser."""

from __future__ import annotations

import anyio
import pytest

from appliance.identity.clients import AUDIENCE, CLI_CLIENT
from appliance.identity.oidc import GrantError, OidcClient
from appliance.identity.tokens import TokenVerifier
from tests.integration.keycloak_site import KeycloakSite, SignInPage

pytestmark = pytest.mark.network


def test_a_confirmed_code_signs_the_terminal_in(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("analyst", "analysts")

    async def run() -> None:
        async with keycloak_site.async_http() as http:
            client = OidcClient(keycloak_site.config.issuer, CLI_CLIENT, None, http)
            grant = await client.start_device()
            assert await client.poll_device(grant) is None
            with SignInPage(keycloak_site) as page:
                page.open(grant.verification_uri_complete).sign_in("analyst").submit(accept="Yes")
            await anyio.sleep(grant.interval)
            tokens = await client.poll_device(grant)
            assert tokens is not None
            principal = await TokenVerifier(keycloak_site.config.issuer, AUDIENCE, http).verify(tokens.access_token)
            assert (principal.username, principal.client_id) == ("analyst", CLI_CLIENT)
            assert tokens.refresh_token
            await client.end_session(tokens.refresh_token)
            with pytest.raises(GrantError):
                await client.refresh(tokens.refresh_token)

    anyio.run(run)


def test_a_refused_code_does_not_sign_the_terminal_in(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("analyst", "analysts")

    async def run() -> None:
        async with keycloak_site.async_http() as http:
            client = OidcClient(keycloak_site.config.issuer, CLI_CLIENT, None, http)
            grant = await client.start_device()
            with SignInPage(keycloak_site) as page:
                page.open(grant.verification_uri_complete).sign_in("analyst").submit(cancel="No")
            with pytest.raises(GrantError) as refused:
                await client.poll_device(grant)
            assert refused.value.code == "access_denied"

    anyio.run(run)
