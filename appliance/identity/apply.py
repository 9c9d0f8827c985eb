"""Make a running Keycloak what the site file says. Idempotent: what already holds is not touched.

Order matters: roles before the groups that carry them, the client scope before the clients that have it, clients before
their service accounts' groups. What a site file no longer names (a client, a group, a role, an identity provider) is
removed, because each of them is a way in. People are never removed here: in the master realm they show as drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from keycloak import KeycloakAdmin

from appliance.identity.admin import administration
from appliance.identity.apply_clients import apply_clients, apply_scopes, apply_service_accounts
from appliance.identity.apply_settings import (
    apply_groups,
    apply_required_actions,
    apply_roles,
    apply_settings,
    apply_user_profile,
    remove_foreign_sources,
)
from appliance.identity.differences import compare
from appliance.identity.realm import MASTER, REALM, Document, desired_master, desired_realm
from appliance.identity.snapshot import snapshot
from appliance.site.config import SiteConfig


def apply_realm(
    config: SiteConfig, *, admin_secret: str, client_secrets: Mapping[str, str], ca: Path | None
) -> tuple[str, ...]:
    """Bring both realms to the site file and return what changed, one line each; nothing on a second run.

    ``client_secrets`` holds the secret of ``sovereign-web`` and of every service client; a secret that Keycloak holds
    differently is replaced. Raises ``UnavailableError``, ``NotAllowedError`` or ``DeploymentError``; a run that failed
    half-way is finished by the next.
    """
    with administration(config, secret=admin_secret, ca=ca) as admin:
        return (
            *apply_document(admin, REALM, desired_realm(config), client_secrets),
            *apply_document(admin, MASTER, desired_master(config), {}),
        )


def apply_document(
    admin: KeycloakAdmin, realm: str, wanted: Document, client_secrets: Mapping[str, str]
) -> tuple[str, ...]:
    """Bring one realm to ``wanted``."""
    changes: list[str] = []
    found = snapshot(admin, realm, wanted)
    if not found:
        admin.create_realm({"realm": realm, "enabled": False})
        changes.append(f"realm {realm}: created")
        found = snapshot(admin, realm, wanted)
    admin.change_current_realm(realm)
    for section, step in _STEPS.items():
        if section in wanted and (section == "clients" or compare(wanted[section], found[section], section)):
            changes += step(admin, wanted, found, client_secrets)
            found = {**found, **snapshot(admin, realm, {section: wanted[section]})}
    return tuple(f"{realm}: {change}" for change in changes)


_STEPS = {
    "roles": apply_roles,
    "groups": apply_groups,
    "scopes": apply_scopes,
    "clients": apply_clients,
    "service_accounts": apply_service_accounts,
    "required_actions": apply_required_actions,
    "user_profile": apply_user_profile,
    "identity_providers": remove_foreign_sources,
    "user_federation": remove_foreign_sources,
    "settings": apply_settings,
}
