"""The realm as code against a real Keycloak: idempotence, drift, mending."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.identity.drift import realm_drift
from appliance.site.config import SiteConfig
from tests.integration.keycloak_site import CLIENT_SECRETS, KeycloakSite

if TYPE_CHECKING:
    from keycloak import KeycloakAdmin

pytestmark = pytest.mark.network


def drift(site: KeycloakSite) -> dict[str, tuple[object, object]]:
    """Differences by path."""
    found = realm_drift(site.config, admin_secret=site.admin_secret, ca=site.ca)
    return {difference.path: (difference.wanted, difference.found) for difference in found}


def change_client(admin: KeycloakAdmin, client: str, **fields: object) -> None:
    """Change a client as a person in the console would."""
    uuid = str(admin.get_client_id(client))
    admin.update_client(uuid, {**admin.get_client(uuid), **fields})


def test_applying_again_changes_nothing(keycloak_site: KeycloakSite) -> None:
    assert drift(keycloak_site) == {}
    assert keycloak_site.apply() == ()


def test_changes_made_by_hand_are_named_and_mended(keycloak_site: KeycloakSite) -> None:
    with keycloak_site.admin() as admin:
        change_client(admin, "sovereign-web", directAccessGrantsEnabled=True, redirectUris=["https://*"])
        admin.update_realm("sovereign", {"bruteForceProtected": False, "accessTokenLifespan": 86_400})
        admin.add_composite_realm_roles_to_role("default-roles-sovereign", [admin.get_realm_role("admin")])
        analysts = admin.get_group_by_path("/analysts")["id"]
        admin.assign_group_realm_roles(analysts, [admin.get_realm_role("auditor")])
    found = drift(keycloak_site)
    assert found["sovereign.clients.sovereign-web.directAccessGrantsEnabled"] == (False, True)
    assert found["sovereign.clients.sovereign-web.redirectUris"][1] == ["https://*"]
    assert found["sovereign.settings.bruteForceProtected"] == (True, False)
    assert found["sovereign.settings.accessTokenLifespan"] == (300, 86_400)
    assert found["sovereign.groups.analysts.realmRoles"] == ([], ["auditor"])
    assert "sovereign.default_roles" in found
    assert len(keycloak_site.apply()) == 4
    assert drift(keycloak_site) == {}


def test_back_doors_are_named_and_closed(keycloak_site: KeycloakSite) -> None:
    with keycloak_site.admin() as admin:
        admin.create_client({"clientId": "helper", "publicClient": True, "directAccessGrantsEnabled": True})
        admin.create_group({"name": "friends"})
        admin.create_idp({"alias": "elsewhere", "providerId": "oidc", "config": {"clientId": "x", "clientSecret": "y"}})
        web = str(admin.get_client_id("sovereign-web"))
        mapper = {"included.custom.audience": "elsewhere", "access.token.claim": "true"}
        admin.add_mapper_to_client(
            web,
            {
                "name": "more",
                "protocol": "openid-connect",
                "protocolMapper": "oidc-audience-mapper",
                "config": mapper,
            },
        )
        batch = admin.get_client_service_account_user(str(admin.get_client_id("batch")))["id"]
        admin.assign_realm_roles(batch, [admin.get_realm_role("admin")])
    found = drift(keycloak_site)
    assert set(found) == {
        "sovereign.clients.helper",
        "sovereign.groups.friends",
        "sovereign.identity_providers.elsewhere",
        "sovereign.clients.sovereign-web.protocolMappers.more",
        "sovereign.service_accounts.batch.roles",
    }
    keycloak_site.apply()
    assert drift(keycloak_site) == {}


def test_a_weakened_sign_in_is_named_and_mended(keycloak_site: KeycloakSite) -> None:
    with keycloak_site.admin() as admin:
        steps = admin.get_authentication_flow_executions("browser")
        forms = next(step for step in steps if step["displayName"] == "forms")
        admin.update_authentication_flow_executions({**forms, "requirement": "DISABLED"}, "browser")
    assert set(drift(keycloak_site)) == {"sovereign.browser_flow"}
    keycloak_site.apply()
    assert drift(keycloak_site) == {}


def test_a_person_in_the_master_realm_is_named_and_left_to_the_operator(keycloak_site: KeycloakSite) -> None:
    with keycloak_site.admin() as admin:
        admin.change_current_realm("master")
        person = admin.create_user({"username": "somebody", "enabled": True})
    try:
        assert set(drift(keycloak_site)) == {"master.people.somebody"}
        assert keycloak_site.apply() == ()
    finally:
        with keycloak_site.admin() as admin:
            admin.change_current_realm("master")
            admin.delete_user(person)


def test_a_replaced_client_secret_is_restored_and_never_shown(keycloak_site: KeycloakSite) -> None:
    with keycloak_site.admin() as admin:
        change_client(admin, "batch", secret="somebody-elses-secret")
    assert drift(keycloak_site) == {}
    changes = keycloak_site.apply()
    assert changes == ("sovereign: client batch: secret set",)
    assert not any(secret in change for change in changes for secret in CLIENT_SECRETS.values())


def test_a_program_that_the_site_file_drops_loses_its_client(keycloak_site: KeycloakSite) -> None:
    config = keycloak_site.config
    without = SiteConfig.model_validate({**config.model_dump(by_alias=True), "service_clients": []})
    assert keycloak_site.apply(without) == ("sovereign: client batch: removed",)
    keycloak_site.apply()
    assert drift(keycloak_site) == {}
