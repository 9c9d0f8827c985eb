"""The gateway and a real Keycloak, over TLS with the site's own authority."""

from __future__ import annotations

import asyncio
import shutil
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest
from sqlalchemy import text

from appliance.gateway.app import create_app
from appliance.gateway.assembly import Keys, Parts
from appliance.gateway.issuer import issuer_client
from appliance.gateway.server import AUDIENCE, server, tls_context
from appliance.identity.oidc import OidcClient
from appliance.identity.tokens import TokenVerifier
from appliance.site.credentials import Credentials
from tests.gateway.doubles import MemoryLog, ObedientEngine
from tests.integration.keycloak_site import CLIENT_SECRETS, KeycloakSite, SignInPage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    import httpx
    from sqlalchemy.ext.asyncio import AsyncEngine

pytestmark = [pytest.mark.anyio, pytest.mark.network]
KEYS = Keys(content=b"c" * 32, session=b"s" * 32, pseudonym=b"p" * 32)
MODEL = "gemma3-270m"


@asynccontextmanager
async def gateway(
    site: KeycloakSite, pool: AsyncEngine, folder: Path, log: MemoryLog
) -> AsyncGenerator[httpx.AsyncClient, None]:
    """Serve one on the port that Keycloak knows; yields the gateway's own client of Keycloak."""
    shutil.copy(site.paths.tls / "gateway.key", folder / "tls.key")
    issuer, listen = site.config.issuer, site.config.listen
    async with issuer_client(site.config, site.paths) as http:
        parts = Parts(
            site=site.config,
            database=pool,
            engines={MODEL: ObedientEngine(MODEL)},
            audit=log,
            verifier=TokenVerifier(issuer, AUDIENCE, http),
            sign_in=OidcClient(issuer, "sovereign-web", CLIENT_SECRETS["sovereign-web"], http),
            keys=KEYS,
        )
        serving = server(create_app(parts), tls_context(site.paths, Credentials(folder)))
        with socket.create_server((listen.host, listen.gateway_port)) as bound:
            task = asyncio.create_task(serving.serve(sockets=[bound]))
            while not serving.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
                await asyncio.sleep(0.01)
            yield http
            serving.should_exit = True
            await task
            for connection in list(serving.server_state.connections):  # Keycloak keeps its own open
                connection.transport.abort()
            await asyncio.sleep(0)


class Person:
    """Somebody with a browser; every act runs in a thread, because the browser blocks."""

    def __init__(self, site: KeycloakSite, browser: SignInPage) -> None:
        self._url = site.config.gateway_url
        self.browser = browser

    async def sign_in(self, name: str) -> None:
        def act() -> None:
            self.browser.open(f"{self._url}/auth/login").sign_in(name)

        await anyio.to_thread.run_sync(act)

    async def get(self, path: str) -> httpx.Response:
        return await anyio.to_thread.run_sync(lambda: self.browser._http.get(self._url + path))

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        csrf = (await self.get("/api/session")).json()["csrf"]
        headers = {"X-CSRF-Token": csrf, "Origin": self._url}
        return await anyio.to_thread.run_sync(
            lambda: self.browser._http.post(self._url + path, json=body, headers=headers)
        )


async def test_a_person_signs_in_asks_is_refreshed_and_is_signed_out_from_afar(
    keycloak_site: KeycloakSite, pool: AsyncEngine, tmp_path: Path
) -> None:
    user = await anyio.to_thread.run_sync(lambda: keycloak_site.ensure_user("gateway-analyst", "analysts"))
    log = MemoryLog()
    async with gateway(keycloak_site, pool, tmp_path, log):
        with SignInPage(keycloak_site) as browser:
            person = Person(keycloak_site, browser)
            await person.sign_in("gateway-analyst")
            found = (await person.get("/api/session")).json()
            assert found["user"] == {"name": "gateway-analyst", "groups": ["analysts"], "roles": []}
            conversation = (await person.post("/api/conversations", {"model": MODEL})).json()["id"]
            stream = await person.post(f"/api/conversations/{conversation}/messages", {"content": "hello"})
            assert '"finish_reason":"stop"' in stream.text
            for _ in range(2):  # the second refresh uses the token that the first one brought
                async with pool.begin() as connection:
                    await connection.execute(text("UPDATE session SET access_expires = now()"))
                assert (await person.get("/api/session")).status_code == 200
            await anyio.to_thread.run_sync(lambda: _log_out(keycloak_site, user))
            assert (await person.get("/api/session")).status_code == 401
    assert log.kinds() == ["sign_in", "request", "answer", "sign_out"]


async def test_signing_out_at_the_page_signs_out_of_keycloak(
    keycloak_site: KeycloakSite, pool: AsyncEngine, tmp_path: Path
) -> None:
    await anyio.to_thread.run_sync(lambda: keycloak_site.ensure_user("gateway-clerk", "analysts"))
    async with gateway(keycloak_site, pool, tmp_path, MemoryLog()):
        with SignInPage(keycloak_site) as browser:
            person = Person(keycloak_site, browser)
            await person.sign_in("gateway-clerk")
            redirect = (await person.post("/auth/logout")).json()["redirect"]
            home = await anyio.to_thread.run_sync(lambda: browser.open(redirect).answer)
            assert home is not None
            assert str(home.url) == f"{keycloak_site.config.gateway_url}/"
            again = await anyio.to_thread.run_sync(
                lambda: browser.open(f"{keycloak_site.config.gateway_url}/auth/login").text
            )
            assert 'name="password"' in again


async def test_a_program_calls_the_api_with_its_own_token(
    keycloak_site: KeycloakSite, pool: AsyncEngine, tmp_path: Path
) -> None:
    async with gateway(keycloak_site, pool, tmp_path, MemoryLog()) as http:
        client = OidcClient(keycloak_site.config.issuer, "batch", CLIENT_SECRETS["batch"], http)
        token = (await client.client_credentials()).access_token
        body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
        url = f"{keycloak_site.config.gateway_url}/v1/chat/completions"
        answer = await http.post(url, json=body, headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["choices"][0]["message"]["content"] == "Hello there."


def _log_out(site: KeycloakSite, user: str) -> None:
    with site.admin() as admin:
        admin.user_logout(user)
