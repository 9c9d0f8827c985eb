"""A real Keycloak's names: read by a client that is there only with the role, changes nobody and reads no secret."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from appliance.errors import UnavailableError
from appliance.gateway.account_names import AccountNames
from appliance.gateway.pseudonyms import subject_of
from appliance.identity.account_source import AccountSource
from appliance.identity.clients import WEB_CLIENT, names_secret
from tests.integration.identity.code_flow import Gateway, as_gateway
from tests.integration.keycloak_site import CLIENT_SECRETS, KeycloakSite, SignInPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.site.config import SiteConfig

pytestmark = pytest.mark.network
KEY = b"p" * 32
SECRET = names_secret(CLIENT_SECRETS[WEB_CLIENT])


@contextmanager
def named(site: KeycloakSite) -> Iterator[SiteConfig]:
    """The site as it is while its auditors have the role; without it again at the end."""
    roles = {"auditors": ("auditor", "auditor-names")}
    groups = tuple(one.model_copy(update={"roles": roles.get(one.name, one.roles)}) for one in site.config.groups)
    config = site.config.model_copy(update={"groups": groups})
    site.apply(config)
    try:
        yield config
    finally:
        site.apply()


def read(site: KeycloakSite) -> dict[str, str]:
    async def act() -> dict[str, str]:
        async with site.async_http() as http:
            return {account: name async for account, name in AccountSource(site.config.issuer, SECRET, http).accounts()}

    return asyncio.run(act())


def test_people_and_programs_are_named_while_the_role_is_given_and_nobody_after(keycloak_site: KeycloakSite) -> None:
    surveyor = keycloak_site.ensure_user("surveyor", "analysts")
    with named(keycloak_site) as config:
        assert keycloak_site.apply(config) == ()
        found = read(keycloak_site)
        assert found[surveyor] == "surveyor"
        assert "service-account-batch" in found.values()
    with pytest.raises(UnavailableError, match="401"):
        read(keycloak_site)


def test_whose_account_is_deleted_has_no_name_any_more(keycloak_site: KeycloakSite) -> None:
    leaving = keycloak_site.ensure_user("treasurer", "analysts")
    subject = subject_of(leaving, KEY)

    async def name() -> str | None:
        async with keycloak_site.async_http() as http:
            names = AccountNames(AccountSource(keycloak_site.config.issuer, SECRET, http), KEY)
            return (await names.of([subject]))[subject]

    with named(keycloak_site):
        assert asyncio.run(name()) == "treasurer"
        with keycloak_site.admin() as admin:
            admin.delete_user(leaving)
        assert asyncio.run(name()) is None


def test_whoever_reads_names_changes_nobody_and_reads_no_event_and_no_secret(keycloak_site: KeycloakSite) -> None:
    surveyor = keycloak_site.ensure_user("surveyor", "analysts")

    async def act() -> None:
        async with keycloak_site.async_http() as http:
            reader = AccountSource(keycloak_site.config.issuer, SECRET, http).reader
            held = {"Authorization": f"Bearer {await reader.token()}"}
            answers = {}
            for method, path in (
                ("GET", "events"),
                ("GET", "admin-events"),
                ("GET", "roles"),
                ("POST", f"users/{surveyor}/impersonation"),
                ("PUT", f"users/{surveyor}"),
                ("PUT", f"users/{surveyor}/reset-password"),
                ("DELETE", f"users/{surveyor}"),
                ("POST", "users"),
            ):
                body = {} if method in {"PUT", "POST"} else None
                answer = await http.request(method, f"{reader.address}/{path}", headers=held, json=body)
                answers[method, path] = answer.status_code
            impersonated = answers.pop(("POST", f"users/{surveyor}/impersonation"))
            assert impersonated in {httpx.codes.FORBIDDEN, httpx.codes.NOT_IMPLEMENTED}, (
                "a site's Keycloak cannot at all"
            )
            assert set(answers.values()) == {httpx.codes.FORBIDDEN}, answers
            credentials = (await http.get(f"{reader.address}/users/{surveyor}/credentials", headers=held)).json()
            assert [one["type"] for one in credentials] == ["password"]
            assert not any("secretData" in one or "value" in one for one in credentials), "that there is one, not which"
            clients = (await http.get(f"{reader.address}/clients", headers=held)).json()
            assert {key for one in clients for key in one} <= {"id", "clientId", "description"}, (
                "their names, no secret"
            )

    with named(keycloak_site):
        asyncio.run(act())


def test_who_is_in_the_group_carries_the_role_and_nobody_else_does(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("custodian", "auditors")
    keycloak_site.ensure_user("surveyor", "analysts")

    async def roles_of(gateway: Gateway, name: str) -> list[str]:
        with SignInPage(keycloak_site) as page:
            tokens = await gateway.sign_in(page, name)
        return sorted((await gateway.verifier.verify(tokens.access_token)).roles)

    async def act(gateway: Gateway) -> None:
        assert await roles_of(gateway, "custodian") == ["auditor", "auditor-names"]
        assert await roles_of(gateway, "surveyor") == []

    with named(keycloak_site):
        as_gateway(keycloak_site, act)
