"""Make a running Keycloak what the site file says. Idempotent: what already holds is not touched.

Order matters: roles before the groups that carry them, client scopes before the clients that have them, clients before
their service accounts' groups, the realm's own settings (which open it) last. What a site file no longer names (a
client, a group, a role, an identity provider) is removed, because each of them is a way in. People are never removed
here: in the master realm they show as drift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.identity.admin import administration
from appliance.identity.apply_clients import apply_client_secrets, apply_clients, apply_scopes, apply_service_accounts
from appliance.identity.apply_settings import (
    apply_browser_flow,
    apply_default_roles,
    apply_groups,
    apply_required_actions,
    apply_roles,
    apply_settings,
    apply_user_profile,
    remove_identity_providers,
    remove_user_federation,
)
from appliance.identity.clients import EVENTS_CLIENT, NAMES_CLIENT, WEB_CLIENT, events_secret, names_secret
from appliance.identity.differences import compare_section
from appliance.identity.realm import MASTER, REALM, Document, desired_master, desired_realm
from appliance.identity.section import Section
from appliance.identity.snapshot import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from keycloak import KeycloakAdmin

    from appliance.site.config import SiteConfig

_STEPS: Mapping[str, Callable[[Section], list[str]]] = {
    "roles": apply_roles,
    "default_roles": apply_default_roles,
    "groups": apply_groups,
    "scopes": apply_scopes,
    "clients": apply_clients,
    "service_accounts": apply_service_accounts,
    "required_actions": apply_required_actions,
    "user_profile": apply_user_profile,
    "browser_flow": apply_browser_flow,
    "identity_providers": remove_identity_providers,
    "user_federation": remove_user_federation,
    "settings": apply_settings,
}


def apply_realm(
    config: SiteConfig,
    *,
    admin_secret: str,
    client_secrets: Mapping[str, str],
    ca: Path | None,
    address: str | None = None,
) -> tuple[str, ...]:
    """Bring both realms to the site file and return what changed, one line each; nothing on a second run.

    ``client_secrets`` holds the secret of ``sovereign-web`` and of every service client; a secret that Keycloak holds
    differently is replaced. ``address`` is Keycloak's own behind an edge. Raises ``UnavailableError``,
    ``NotAllowedError`` or ``DeploymentError``; a run that failed half-way is finished by the next.
    """
    web = client_secrets[WEB_CLIENT]
    secrets = {**client_secrets, EVENTS_CLIENT: events_secret(web), NAMES_CLIENT: names_secret(web)}
    with administration(config, secret=admin_secret, ca=ca, address=address) as admin:
        return (
            *apply_document(admin, REALM, desired_realm(config), secrets),
            *apply_document(admin, MASTER, desired_master(config), {}),
        )


def apply_document(
    admin: KeycloakAdmin, realm: str, wanted: Document, client_secrets: Mapping[str, str]
) -> tuple[str, ...]:
    """Bring one realm to ``wanted``."""
    changes: list[str] = []
    if not snapshot(admin, realm, {"settings": {}}):
        admin.create_realm({"realm": realm, "enabled": False})
        admin.connection.refresh_token()  # the token in hand holds no rights over a realm younger than itself
        changes.append("created")
    for name, step in _STEPS.items():
        if name not in wanted:
            continue
        # Read each section just before it is mended: an earlier step may have changed it.
        found = snapshot(admin, realm, {name: wanted[name]})[name]
        if compare_section(wanted[name], found, name):
            changes += step(Section(admin, wanted[name], found))
    changes += apply_client_secrets(admin, client_secrets)
    return tuple(f"{realm}: {change}" for change in changes)
