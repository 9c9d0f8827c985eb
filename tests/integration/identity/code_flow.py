"""Sign in as the page does: authorization code with PKCE, through Keycloak's real form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from appliance.identity.clients import AUDIENCE, WEB_CLIENT
from appliance.identity.oidc import OidcClient, Tokens, new_code_verifier
from appliance.identity.tokens import TokenVerifier
from tests.integration.keycloak_site import CLIENT_SECRETS, SignInPage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.keycloak_site import KeycloakSite


@dataclass(frozen=True)
class Gateway:
    """What a gateway has in its hands: the web client and a verifier."""

    site: KeycloakSite
    client: OidcClient
    verifier: TokenVerifier

    @property
    def callback(self) -> str:
        """The one redirect address that Keycloak accepts."""
        return f"{self.site.config.gateway_url}/auth/callback"

    async def code(self, page: SignInPage, username: str, verifier: str, nonce: str = "nonce") -> str:
        """An authorization code for ``username``, who signs in through the form unless ``page`` is signed in."""
        url = await self.client.authorization_url(
            redirect_uri=self.callback, state="state", nonce=nonce, code_verifier=verifier
        )
        page.open(url, stop_at=self.callback)
        if not page.answer or not page.answer.is_redirect:
            page.sign_in(username, stop_at=self.callback)
        assert page.arrived_with["state"] == "state"
        return page.arrived_with["code"]

    async def sign_in(self, page: SignInPage, username: str, nonce: str = "nonce") -> Tokens:
        """Tokens for ``username``."""
        verifier = new_code_verifier()
        code = await self.code(page, username, verifier, nonce)
        return await self.client.exchange_code(code=code, redirect_uri=self.callback, code_verifier=verifier)


def as_gateway(site: KeycloakSite, act: Callable[[Gateway], Awaitable[None]]) -> None:
    """Run ``act`` with a gateway's means."""

    async def run() -> None:
        async with site.async_http() as http:
            client = OidcClient(site.config.issuer, WEB_CLIENT, CLIENT_SECRETS[WEB_CLIENT], http)
            await act(Gateway(site, client, TokenVerifier(site.config.issuer, AUDIENCE, http)))

    anyio.run(run)
