"""How far the running Keycloak is from the site file. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.identity.admin import administration
from appliance.identity.differences import ABSENT, PRESENT, Difference, compare_documents
from appliance.identity.realm import MASTER, REALM, Document, desired_master, desired_realm
from appliance.identity.snapshot import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from keycloak import KeycloakAdmin

    from appliance.site.config import SiteConfig


def realm_drift(config: SiteConfig, *, admin_secret: str, ca: Path | None) -> tuple[Difference, ...]:
    """Differences of both realms, the site's first; empty when Keycloak is as the site file says.

    Raises ``UnavailableError`` when Keycloak does not answer: not knowing is not the same as no drift.
    """
    with administration(config, secret=admin_secret, ca=ca) as admin:
        return (
            *drift_of(admin, REALM, desired_realm(config)),
            *drift_of(admin, MASTER, desired_master(config)),
        )


def drift_of(admin: KeycloakAdmin, realm: str, wanted: Document) -> tuple[Difference, ...]:
    """Differences of one realm."""
    found = snapshot(admin, realm, wanted)
    return compare_documents(wanted, found, realm) if found else (Difference(realm, PRESENT, ABSENT),)
