"""The site's secrets as the installer knows them: which there are, how each is made, and which service receives which.

Nothing here leaves memory unsealed except the files that ``hand_over`` writes: one folder per service on the runtime
file system, readable by that service's user only.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.install.systemd_creds import SystemdCreds
from appliance.site.paths import AUDIT, GATEWAY, IDENTITY, KV_KEY, SitePaths, engine_service
from appliance.site.secrets import SecretStore
from appliance.site.site_key import Passphrase, choose_kind, create_key, key_kind, open_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.install.accounts import Accounts
    from appliance.site.config import SiteConfig

SUPERUSER_PASSWORD = "database/superuser_password"  # noqa: S105 - a name
CA_KEY = "installer/ca.key"
AUDIT_KEYS = ("audit/checkpoint_ed25519.pem", "audit/checkpoint_mldsa44.pem")


def _password() -> bytes:
    return secrets.token_urlsafe(32).encode()


def _key() -> bytes:
    return secrets.token_bytes(32)


_RANDOM: dict[str, Callable[[], bytes]] = {
    SUPERUSER_PASSWORD: _password,
    "identity/db_password": _password,
    "identity/bootstrap_admin_secret": _password,
    "gateway/db_password": _password,
    "gateway/oidc_client_secret": _password,
    "gateway/content_key": _key,
    "gateway/pseudonym_key": _key,
    "gateway/session_key": _key,
}


def client_secret(client: str) -> str:
    """Name of the secret of the service client ``client``."""
    return f"clients/{client}"


def kv_key(model: str) -> str:
    """Name of the secret under which the engine of ``model`` keeps beginnings of prompts on disk."""
    return f"{engine_service(model)}/{KV_KEY}"


def random_secrets(config: SiteConfig) -> dict[str, Callable[[], bytes]]:
    """Every secret that is random bytes, with what makes it."""
    clients = {client_secret(c.id): _password for c in config.service_clients}
    return {**_RANDOM, **clients, **{kv_key(m.name): _key for m in config.models}}


def handed_over(config: SiteConfig) -> dict[str, tuple[str, ...]]:
    """Which sealed secrets each service receives; services that need none are left out."""
    tls = config.tls.mode == "site-ca"
    identity = ("identity/db_password", "identity/bootstrap_admin_secret", *(("identity/tls.key",) if tls else ()))
    keys = ("content_key", "pseudonym_key", "session_key", *(("tls.key",) if tls else ()))
    gateway = ("gateway/db_password", "gateway/oidc_client_secret", *(f"gateway/{k}" for k in keys))
    engines = {engine_service(m.name): (kv_key(m.name),) for m in config.models}
    return {IDENTITY: identity, AUDIT: AUDIT_KEYS, GATEWAY: gateway, **engines}


class Vault:
    """Opens the site's secret store once, asking for the passphrase at most once. Safe to use from several threads."""

    def __init__(self, paths: SitePaths, passphrase: Passphrase) -> None:
        self._paths = paths
        self._passphrase = passphrase
        self._sealer = SystemdCreds()
        self._lock = threading.Lock()  # guards _store
        self._store: SecretStore | None = None

    def create(self, wanted: str) -> SecretStore:
        """Make the site key if there is none (``wanted`` as in site.yaml), then open the store."""
        with self._lock:
            if key_kind(self._paths.secrets) is None:
                kind = choose_kind(wanted, self._sealer)
                key = create_key(self._paths.secrets, kind, sealer=self._sealer, passphrase=self._passphrase)
                self._store = SecretStore(self._paths.secrets, key)
        return self.store()

    def store(self) -> SecretStore:
        """The opened store. Errors as for ``open_key``."""
        with self._lock:
            if self._store is None:
                key = open_key(self._paths.secrets, sealer=self._sealer, passphrase=self._passphrase)
                self._store = SecretStore(self._paths.secrets, key)
            return self._store


def make_missing(store: SecretStore, config: SiteConfig) -> tuple[str, ...]:
    """Seal every random secret that is not there yet; the names of those made."""
    made = [name for name in random_secrets(config) if not store.has(name)]
    for name in made:
        store.put(name, random_secrets(config)[name]())
    return tuple(made)


def hand_over(vault: Vault, config: SiteConfig, paths: SitePaths, accounts: Accounts) -> None:
    """Unseal each service's secrets into ``SitePaths.credentials(service)``: 0400, owned by the service's user.

    The store is opened only if something is missing, so a site that runs is not asked for its passphrase.
    """
    for service, names in handed_over(config).items():
        folder = paths.credentials(service)
        missing = [n for n in names if not (folder / Path(n).name).exists()]
        if missing:
            _write_folder(folder, {Path(n).name: vault.store().get(n) for n in names}, accounts.account(service).uid)


def is_unsealed(paths: SitePaths) -> bool:
    """Whether services have their secrets: from a start until the operator stops the site, or a reboot."""
    return paths.credentials("any").parent.is_dir()


def take_back(paths: SitePaths) -> None:
    """Remove every unsealed secret."""
    parent = paths.credentials("any").parent
    if parent.is_dir():
        for folder in parent.iterdir():
            _remove_folder(folder)
        parent.rmdir()


def _remove_folder(folder: Path) -> None:
    """Remove a folder that is closed to writing, for its owner too."""
    if folder.is_dir():
        folder.chmod(0o700)
        shutil.rmtree(folder)


def _write_folder(folder: Path, files: dict[str, bytes], uid: int) -> None:
    """Write beside, then swap: a service never sees half of its credentials."""
    folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    folder.parent.chmod(0o711)
    part = folder.with_name(f".{folder.name}.partial")
    _remove_folder(part)
    part.mkdir(mode=0o700)
    for name, value in files.items():
        descriptor = os.open(part / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "wb") as file:
            file.write(value)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), uid, -1)
    if os.geteuid() == 0:
        os.chown(part, uid, -1)
    part.chmod(0o500)
    _remove_folder(folder)
    part.rename(folder)
