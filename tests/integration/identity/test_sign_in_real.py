"""Signing in to a real Keycloak: codes, tokens, rotation, refusals."""

from __future__ import annotations

import re
import time

import pytest

from appliance.identity.clients import AUDIENCE, WEB_CLIENT
from appliance.identity.oidc import GrantError, OidcClient, new_code_verifier
from appliance.identity.tokens import TokenError, TokenVerifier
from tests.integration.identity.code_flow import Gateway, as_gateway
from tests.integration.keycloak_site import CLIENT_SECRETS, KeycloakSite, SignInPage

pytestmark = pytest.mark.network


def test_a_signed_in_person_carries_name_groups_roles_and_session(keycloak_site: KeycloakSite) -> None:
    sub = keycloak_site.ensure_user("auditor", "auditors", "analysts")

    async def act(gateway: Gateway) -> None:
        with SignInPage(keycloak_site) as page:
            tokens = await gateway.sign_in(page, "auditor")
        principal = await gateway.verifier.verify(tokens.access_token)
        assert (principal.sub, principal.username, principal.client_id) == (sub, "auditor", WEB_CLIENT)
        assert sorted(principal.groups) == ["analysts", "auditors"]
        assert principal.roles == ("auditor",)
        assert principal.session_id
        assert 0 < principal.expires_at - time.time() <= 300
        assert tokens.id_token
        claims = await gateway.verifier.verify_id_token(tokens.id_token, client_id=WEB_CLIENT, nonce="nonce")
        assert claims["sid"] == principal.session_id

    as_gateway(keycloak_site, act)


def test_a_weight_of_a_group_in_keycloak_comes_with_the_person_and_goes_with_it(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("officer", "auditors", "analysts")
    given: dict[str, list[str]] = {"analysts": ["4"], "auditors": ["0.5"]}

    def weigh(**groups: list[str]) -> None:
        with keycloak_site.admin() as admin:
            for name in given:
                group = admin.get_group_by_path(f"/{name}")
                values = {"sovereign.weight": groups[name]} if name in groups else {}
                admin.update_group(group["id"], {"name": name, "attributes": values})

    async def act(gateway: Gateway) -> None:
        async def weight() -> float | None:
            with SignInPage(keycloak_site) as page:
                tokens = await gateway.sign_in(page, "officer")
            return (await gateway.verifier.verify(tokens.access_token)).weight

        assert await weight() is None
        weigh(**given)
        assert await weight() == 4.0
        assert keycloak_site.apply() == (), "what the operator set in Keycloak is not drift"
        weigh()
        assert await weight() is None

    as_gateway(keycloak_site, act)


def test_an_id_token_that_answers_another_sign_in_is_refused(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("analyst", "analysts")

    async def act(gateway: Gateway) -> None:
        with SignInPage(keycloak_site) as page:
            tokens = await gateway.sign_in(page, "analyst", nonce="first")
        assert tokens.id_token
        with pytest.raises(TokenError, match="does not answer this sign-in"):
            await gateway.verifier.verify_id_token(tokens.id_token, client_id=WEB_CLIENT, nonce="second")

    as_gateway(keycloak_site, act)


def test_only_an_access_token_opens_the_api(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("analyst", "analysts")

    async def act(gateway: Gateway) -> None:
        with SignInPage(keycloak_site) as page:
            tokens = await gateway.sign_in(page, "analyst")
        for token in (tokens.id_token, tokens.refresh_token):
            assert token
            with pytest.raises(TokenError):
                await gateway.verifier.verify(token)
        with keycloak_site.admin() as admin:
            admin.get_realms()
            of_another_realm = (admin.connection.token or {})["access_token"]
        with pytest.raises(TokenError, match="unknown key"):
            await gateway.verifier.verify(of_another_realm)

    as_gateway(keycloak_site, act)


def test_an_expired_access_token_is_refused(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("analyst", "analysts")

    async def act(gateway: Gateway) -> None:
        with SignInPage(keycloak_site) as page:
            tokens = await gateway.sign_in(page, "analyst")
        async with keycloak_site.async_http() as http:
            later = TokenVerifier(keycloak_site.config.issuer, AUDIENCE, http, clock=lambda: time.time() + 311)
            with pytest.raises(TokenError, match="expired"):
                await later.verify(tokens.access_token)

    as_gateway(keycloak_site, act)


def test_a_code_works_once_and_only_with_its_verifier(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("analyst", "analysts")

    async def act(gateway: Gateway) -> None:
        with SignInPage(keycloak_site) as page:
            verifier = new_code_verifier()
            code = await gateway.code(page, "analyst", verifier)
            with pytest.raises(GrantError):
                await gateway.client.exchange_code(
                    code=code, redirect_uri=gateway.callback, code_verifier=new_code_verifier()
                )
            code = await gateway.code(page, "analyst", verifier)
            await gateway.client.exchange_code(code=code, redirect_uri=gateway.callback, code_verifier=verifier)
            with pytest.raises(GrantError):
                await gateway.client.exchange_code(code=code, redirect_uri=gateway.callback, code_verifier=verifier)

    as_gateway(keycloak_site, act)


def test_sign_in_without_pkce_is_refused(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("analyst", "analysts")

    async def act(gateway: Gateway) -> None:
        url = await gateway.client.authorization_url(
            redirect_uri=gateway.callback, state="s", nonce="n", code_verifier=new_code_verifier()
        )
        bare = "&".join(part for part in url.split("&") if not part.startswith("code_challenge"))
        with SignInPage(keycloak_site) as page:
            page.open(bare, stop_at=gateway.callback)
            assert page.arrived_with["error"] == "invalid_request"

    as_gateway(keycloak_site, act)


def test_the_sign_in_page_wears_the_sites_theme(keycloak_site: KeycloakSite) -> None:
    async def act(gateway: Gateway) -> None:
        url = await gateway.client.authorization_url(
            redirect_uri=gateway.callback, state="s", nonce="n", code_verifier=new_code_verifier(), language="fr"
        )
        with SignInPage(keycloak_site) as page:
            page.open(url)
            assert re.search(r'<html[^>]* lang="fr"', page.text)
            resources = re.findall(r'"(/resources/[^"]+/login/sovereign/[^"]+)"', page.text)
            assert resources
            for resource in resources:
                page.open(keycloak_site.config.issuer.removesuffix("/realms/sovereign") + resource)
                assert page.answer is not None
                assert page.answer.status_code == 200, resource

    as_gateway(keycloak_site, act)


def test_a_foreign_redirect_address_is_refused(keycloak_site: KeycloakSite) -> None:
    async def act(gateway: Gateway) -> None:
        url = await gateway.client.authorization_url(
            redirect_uri="https://elsewhere.example/auth/callback",
            state="s",
            nonce="n",
            code_verifier=new_code_verifier(),
        )
        with SignInPage(keycloak_site) as page:
            assert page.open(url).answer is not None
            assert page.answer is not None
            assert page.answer.status_code == 400

    as_gateway(keycloak_site, act)


def test_a_spent_refresh_token_is_refused(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("analyst", "analysts")

    async def act(gateway: Gateway) -> None:
        with SignInPage(keycloak_site) as page:
            first = await gateway.sign_in(page, "analyst")
        assert first.refresh_token
        second = await gateway.client.refresh(first.refresh_token)
        await gateway.verifier.verify(second.access_token)
        with pytest.raises(GrantError, match="invalid_grant"):
            await gateway.client.refresh(first.refresh_token)

    as_gateway(keycloak_site, act)


def test_a_program_has_its_groups_and_no_session(keycloak_site: KeycloakSite) -> None:
    async def act(gateway: Gateway) -> None:
        async with keycloak_site.async_http() as http:
            program = OidcClient(keycloak_site.config.issuer, "batch", CLIENT_SECRETS["batch"], http)
            tokens = await program.client_credentials()
        principal = await gateway.verifier.verify(tokens.access_token)
        assert (principal.client_id, principal.groups, principal.session_id) == ("batch", ("programs",), None)
        assert tokens.refresh_token is None

    as_gateway(keycloak_site, act)


def test_a_wrong_client_secret_is_refused(keycloak_site: KeycloakSite) -> None:
    async def act(_gateway: Gateway) -> None:
        async with keycloak_site.async_http() as http:
            program = OidcClient(keycloak_site.config.issuer, "batch", "not the secret", http)
            with pytest.raises(GrantError):
                await program.client_credentials()

    as_gateway(keycloak_site, act)


def test_passwords_cannot_be_traded_for_tokens_directly(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("analyst", "analysts")
    form = {"grant_type": "password", "username": "analyst", "password": "correct-horse-battery"}

    async def act(_gateway: Gateway) -> None:
        async with keycloak_site.async_http() as http:
            for client in ("sovereign-cli", "admin-cli", "account-console"):
                url = f"{keycloak_site.config.issuer}/protocol/openid-connect/token"
                answer = await http.post(url, data={**form, "client_id": client})
                assert answer.status_code in {400, 401}

    as_gateway(keycloak_site, act)


def test_five_wrong_passwords_lock_the_account(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("clerk", "analysts")

    async def act(gateway: Gateway) -> None:
        url = await gateway.client.authorization_url(
            redirect_uri=gateway.callback, state="s", nonce="n", code_verifier=new_code_verifier()
        )
        with SignInPage(keycloak_site) as page:
            page.open(url)
            for _ in range(5):
                page.sign_in("clerk", "not-the-password", stop_at=gateway.callback)
            page.sign_in("clerk", stop_at=gateway.callback)
            assert page.answer is not None
            assert not page.answer.is_redirect

    as_gateway(keycloak_site, act)
    with keycloak_site.admin() as admin:
        status = admin.get_bruteforce_detection_status(admin.get_user_id("clerk"))
    assert status["disabled"] is True
