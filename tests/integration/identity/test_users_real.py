"""Import of people into a real Keycloak, and their first sign-in."""

from __future__ import annotations

import pytest

from appliance.errors import DeploymentError, UsageError
from appliance.identity.users import Imported, find_user, import_users, list_users, remove_user
from appliance.identity.users_file import FileUser
from tests.integration.identity.code_flow import Gateway, as_gateway
from tests.integration.keycloak_site import KeycloakSite, SignInPage

pytestmark = pytest.mark.network


def imported(site: KeycloakSite, *users: FileUser, permanent: dict[str, str] | None = None) -> list[Imported]:
    with site.admin() as admin:
        return list(import_users(admin, users, permanent=permanent))


def test_a_one_time_password_must_be_changed_at_first_sign_in(keycloak_site: KeycloakSite) -> None:
    (person,) = imported(keycloak_site, FileUser("newcomer", ("analysts",)))
    assert person.outcome == "created"
    assert person.password

    async def act(gateway: Gateway) -> None:
        url = await gateway.client.authorization_url(
            redirect_uri=gateway.callback, state="s", nonce="n", code_verifier="v" * 64
        )
        with SignInPage(keycloak_site) as page:
            page.open(url).sign_in("newcomer", str(person.password), stop_at=gateway.callback)
            assert "password-new" in page.text
            fields = {"password-new": "a-password-of-my-own", "password-confirm": "a-password-of-my-own"}
            page.submit(stop_at=gateway.callback, **fields)
            assert "code" in page.arrived_with

    as_gateway(keycloak_site, act)


def test_importing_again_changes_groups_and_keeps_the_password(keycloak_site: KeycloakSite) -> None:
    password = {"mover": "a-lasting-password"}
    (made,) = imported(keycloak_site, FileUser("mover", ("analysts",)), permanent=password)
    assert (made.outcome, made.password) == ("created", None)
    (same,) = imported(keycloak_site, FileUser("mover", ("analysts",)))
    assert same.outcome == "unchanged"
    (moved,) = imported(keycloak_site, FileUser("mover", ("auditors",), email="mover@site.example", first="M"))
    assert (moved.outcome, moved.password) == ("changed", None)
    with keycloak_site.admin() as admin:
        (person,) = [p for p in list_users(admin) if p.username == "mover"]
    assert person.groups == ("auditors",)
    assert not person.must_change_password

    async def act(gateway: Gateway) -> None:
        url = await gateway.client.authorization_url(
            redirect_uri=gateway.callback, state="s", nonce="n", code_verifier="v" * 64
        )
        with SignInPage(keycloak_site) as page:
            page.open(url).sign_in("mover", password["mover"], stop_at=gateway.callback)
            assert "code" in page.arrived_with

    as_gateway(keycloak_site, act)


def test_a_group_that_keycloak_lacks_is_refused_before_any_change(keycloak_site: KeycloakSite) -> None:
    with pytest.raises(DeploymentError, match="lacks the group nowhere"):
        imported(keycloak_site, FileUser("early", ("analysts",)), FileUser("late", ("nowhere",)))
    with keycloak_site.admin() as admin:
        assert admin.get_user_id("early") is None


def test_a_missing_lasting_password_is_refused_before_any_change(keycloak_site: KeycloakSite) -> None:
    with pytest.raises(UsageError, match="no password is given for late"):
        imported(
            keycloak_site,
            FileUser("early", ("analysts",)),
            FileUser("late", ("analysts",)),
            permanent={"early": "a-lasting-password"},
        )
    with keycloak_site.admin() as admin:
        assert admin.get_user_id("early") is None


def test_an_account_that_is_removed_is_nobody_s_and_its_name_leads_to_another_id(keycloak_site: KeycloakSite) -> None:
    """A pseudonym is made of the id: whoever comes back under the same name is somebody else to the log."""
    password = {"leaver": "a-lasting-password"}
    imported(keycloak_site, FileUser("leaver", ("analysts",)), permanent=password)
    with keycloak_site.admin() as admin:
        before = find_user(admin, "leaver")
        remove_user(admin, before)
        with pytest.raises(UsageError, match="no user leaver"):
            find_user(admin, "leaver")
        assert "leaver" not in {person.username for person in list_users(admin)}
    imported(keycloak_site, FileUser("leaver", ("analysts",)), permanent=password)
    with keycloak_site.admin() as admin:
        assert find_user(admin, "leaver") != before
