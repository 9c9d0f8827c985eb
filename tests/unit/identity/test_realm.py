"""The wanted realm, as data."""

from __future__ import annotations

import json

import pytest

from appliance.identity.clients import events_secret, names_secret
from appliance.identity.realm import desired_master, desired_realm
from tests.unit.identity.sites import loopback_site, site


def test_no_client_takes_passwords_or_hands_out_tokens_in_addresses() -> None:
    for document in (desired_realm(site()), desired_master(site())):
        for name, client in document["clients"].items():
            assert not client.get("directAccessGrantsEnabled"), name
            assert not client.get("implicitFlowEnabled"), name


def test_the_web_client_redirects_to_the_gateway_only() -> None:
    web = desired_realm(site())["clients"]["sovereign-web"]
    assert web["redirectUris"] == ["https://assistant.example:8443/auth/callback"]
    assert web["attributes"]["post.logout.redirect.uris"] == "https://assistant.example:8443/"
    assert web["attributes"]["backchannel.logout.url"] == "https://assistant.example:8443/auth/backchannel-logout"
    assert web["attributes"]["backchannel.logout.session.required"] == "true"
    assert web["attributes"]["pkce.code.challenge.method"] == "S256"
    assert web["publicClient"] is False


def test_the_terminal_has_device_authorization_only() -> None:
    terminal = desired_realm(site())["clients"]["sovereign-cli"]
    assert terminal["publicClient"]
    assert not terminal["standardFlowEnabled"]
    assert not terminal["serviceAccountsEnabled"]
    assert terminal["attributes"]["oauth2.device.authorization.grant.enabled"] == "true"


def test_programs_are_their_groups_and_nothing_more() -> None:
    document = desired_realm(site())
    assert document["clients"]["batch"]["serviceAccountsEnabled"]
    assert not document["clients"]["batch"]["standardFlowEnabled"]
    assert document["service_accounts"]["batch"] == {"groups": ["analysts"], "roles": []}


def test_whoever_reads_events_may_do_nothing_else() -> None:
    document = desired_realm(site())
    reader = document["clients"]["sovereign-events"]
    assert document["service_accounts"]["sovereign-events"] == {"groups": [], "roles": ["realm-management.view-events"]}
    assert reader["serviceAccountsEnabled"]
    assert not any(reader[way] for way in ("standardFlowEnabled", "publicClient", "redirectUris"))
    assert "sovereign" not in reader["defaultClientScopes"], "its tokens must not be for our API"


def test_the_readers_secret_is_neither_the_pages_nor_guessed_from_it() -> None:
    assert events_secret("one") != events_secret("other")
    assert "one" not in events_secret("one")
    assert len(events_secret("one")) == 64


def test_names_are_read_by_a_client_that_only_a_site_with_the_role_has() -> None:
    without = desired_realm(site())
    assert "sovereign-names" not in {**without["clients"], **without["service_accounts"]}
    auditors = {"name": "auditors", "roles": ["auditor", "auditor-names"]}
    document = desired_realm(site(groups=[{"name": "analysts"}, auditors]))
    assert document["groups"]["auditors"]["realmRoles"] == ["auditor", "auditor-names"]
    assert document["service_accounts"]["sovereign-names"] == {"groups": [], "roles": ["realm-management.view-users"]}
    reader = document["clients"]["sovereign-names"]
    assert reader["serviceAccountsEnabled"]
    assert not any(reader[way] for way in ("standardFlowEnabled", "publicClient", "redirectUris"))
    assert "sovereign" not in reader["defaultClientScopes"], "its tokens must not be for our API"
    assert names_secret("one") not in {events_secret("one"), names_secret("other"), "one"}
    assert "auditor-names" in without["roles"], "a role that nobody has, so that giving it is a change of site.yaml"


def test_groups_carry_the_roles_of_the_site_file() -> None:
    groups = desired_realm(site())["groups"]
    assert groups["auditors"]["realmRoles"] == ["auditor"]
    assert groups["analysts"]["realmRoles"] == []


def test_tokens_are_short_refresh_tokens_rotate_and_guessing_is_slowed() -> None:
    settings = desired_realm(site())["settings"]
    assert settings["accessTokenLifespan"] == 300
    assert (settings["revokeRefreshToken"], settings["refreshTokenMaxReuse"]) == (True, 0)
    assert settings["bruteForceProtected"]
    assert settings["eventsEnabled"]
    assert settings["adminEventsEnabled"]
    assert settings["registrationAllowed"] is False


def test_tls_is_demanded_wherever_the_site_has_it() -> None:
    assert desired_realm(site())["settings"]["sslRequired"] == "all"
    assert desired_realm(loopback_site())["settings"]["sslRequired"] == "none"


def test_languages_and_theme_follow_the_site() -> None:
    settings = desired_realm(site(languages=["fr", "en"]), login_theme="sovereign")["settings"]
    assert settings["supportedLocales"] == ["fr", "en"]
    assert settings["defaultLocale"] == "fr"
    assert settings["loginTheme"] == "sovereign"


@pytest.mark.parametrize("make", [desired_realm, desired_master])
def test_a_document_is_plain_data_without_secrets(make: object) -> None:
    assert callable(make)
    text = json.dumps(make(site()))
    assert '"secret"' not in text


def test_the_same_site_file_gives_the_same_document() -> None:
    assert desired_realm(site()) == desired_realm(site())
