"""Administrative access to the site's Keycloak, for the commands on people."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.cli.reached import service_secret
from appliance.identity.admin import administration
from appliance.site.load import load_site
from appliance.site.paths import IDENTITY, SitePaths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keycloak import KeycloakAdmin

_BOOTSTRAP = "bootstrap_admin_secret"


@contextmanager
def keycloak(paths: SitePaths, passphrase_fd: int | None) -> Iterator[KeycloakAdmin]:
    """Administrative access: with the secret handed to the running service, or else from the sealed store."""
    secret = service_secret(paths, IDENTITY, _BOOTSTRAP, passphrase_fd)
    config = load_site(paths.administered)
    ca = paths.tls / "ca.pem" if config.scheme == "https" else None
    with administration(config, secret=secret.decode(), ca=ca) as admin:
        yield admin
