"""Administrative access to the site's Keycloak, for the commands on people."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.cli.terminal import read_passphrase
from appliance.identity.admin import administration
from appliance.install.vault import Vault
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


def service_secret(paths: SitePaths, service: str, name: str, passphrase_fd: int | None) -> bytes:
    """A secret of ``service``: as handed to the running service, or else from the sealed store."""
    handed_over = paths.credentials(service) / name
    if handed_over.exists():
        return handed_over.read_bytes()
    vault = Vault(paths, lambda: read_passphrase("passphrase of the site key", passphrase_fd))
    return vault.store().get(f"{service}/{name}")
