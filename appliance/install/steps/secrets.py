"""Steps that make keys: the site key and random secrets, certificates, the log's signing keys, the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.keys import CheckpointKeys
from appliance.identity import schema
from appliance.install import ca
from appliance.install.database import DATABASES, HBA, SETTINGS, SUPERUSER, cluster, create_cluster
from appliance.install.runner import Advance, Step
from appliance.install.steps.context import digest
from appliance.install.supervision import choose_supervision
from appliance.install.vault import (
    AUDIT_KEYS,
    CA_KEY,
    SUPERUSER_PASSWORD,
    make_missing,
    random_secrets,
    take_back,
)
from appliance.site.paths import DATABASE, GATEWAY, IDENTITY
from appliance.site.secrets import SecretStore, write_private
from appliance.site.site_key import key_kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from appliance.install.steps.context import Context
    from appliance.install.vault import Vault
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

SERVERS = (GATEWAY, IDENTITY)
VKEYS = "audit-vkeys"


def secret_steps(context: Context) -> tuple[Step, ...]:
    """Site key and secrets, then what they protect."""
    return (
        _secrets(context),
        certificates_step(context.config, context.paths, context.vault),
        _audit_keys(context),
        _database(context),
    )


def _secrets(context: Context) -> Step:
    wanted = context.config.site_key.kind

    def work(_: Advance) -> Mapping[str, str]:
        store = context.vault.create(wanted)
        made = make_missing(store, context.config)
        take_back(context.paths)
        return {"kind": str(key_kind(context.paths.secrets)), "made": str(len(made))}

    return Step(
        name="secrets",
        title="site key and secrets",
        after=("folders",),
        behind=("policies",),
        inputs=lambda: {"kind": wanted, "names": " ".join(sorted(random_secrets(context.config)))},
        run=work,
        present=lambda: (
            key_kind(context.paths.secrets) is not None
            and all(SecretStore(context.paths.secrets, b"").has(n) for n in random_secrets(context.config))
        ),
    )


def certificates_step(config: SiteConfig, paths: SitePaths, vault: Vault) -> Step:
    """The authority, unless one may sign for the site's names, and a server certificate for each public port."""
    listen = config.listen
    names = (listen.hostname, listen.host)

    def work(_: Advance) -> None:
        if config.tls.mode == "off":
            return
        store = vault.store()
        authority = _authority(store, paths.tls / "ca.pem", config.name, names)
        for server in SERVERS:
            issued = ca.issue(authority, listen.hostname, names, ca.utc_now())
            store.put(f"{server}/tls.key", issued.key)
            _publish(paths.tls / f"{server}.pem", issued.chain)
        take_back(paths)

    def present() -> bool:
        files = [paths.tls / f"{server}.pem" for server in SERVERS]
        if config.tls.mode == "off":
            return True
        return all(f.is_file() and not ca.is_due(f.read_bytes(), ca.utc_now()) for f in files)

    return Step(
        name="certificates",
        title="certificates of the site",
        after=("secrets",),
        inputs=lambda: {"mode": config.tls.mode, "names": " ".join(names), "site": config.name},
        run=work,
        present=present,
    )


def _authority(store: SecretStore, path: Path, site: str, names: tuple[str, ...]) -> ca.Authority:
    """The site's authority; a new one only where there is none that may sign for ``names``."""
    if store.has(CA_KEY) and path.is_file():
        authority = ca.Authority(path.read_bytes(), store.get(CA_KEY))
        if ca.covers(authority, names) and not ca.is_due(authority.certificate, ca.utc_now()):
            return authority
    authority = ca.create_authority(site, names, ca.utc_now())
    store.put(CA_KEY, authority.key)
    _publish(path, authority.certificate)
    return authority


def _audit_keys(context: Context) -> Step:
    path = context.paths.policies / VKEYS
    origin = context.config.log_origin

    def work(_: Advance) -> None:
        store = context.vault.store()
        if not all(store.has(name) for name in AUDIT_KEYS):
            keys = CheckpointKeys.generate()
            for name, pem in zip(AUDIT_KEYS, (keys.ed25519_pem(), keys.mldsa44_pem()), strict=True):
                store.put(name, pem)
            take_back(context.paths)
        keys = CheckpointKeys.load(*(store.get(name) for name in AUDIT_KEYS))
        _publish(path, "".join(f"{key.encode()}\n" for key in keys.vkeys(origin)).encode())

    return Step(
        name="audit-keys",
        title="signing keys of the audit log",
        after=("secrets",),
        inputs=lambda: {"origin": origin},
        run=work,
        present=path.is_file,
    )


def _database(context: Context) -> Step:
    secret = {SUPERUSER: SUPERUSER_PASSWORD, "keycloak": "identity/db_password", "gateway": "gateway/db_password"}

    def work(_: Advance) -> None:
        store = context.vault.store()
        _stop_database(context)
        account = context.accounts.account(DATABASE)
        passwords = {role: store.get(name) for role, name in secret.items()}
        schemas = {schema.DATABASE: schema.initial_schema(context.only("keycloak").version)}
        create_cluster(context.paths, context.env, account, passwords, schemas)

    return Step(
        name="database",
        title="PostgreSQL cluster, roles and access",
        after=("environment", "secrets"),
        behind=("supervision",),  # what uses the database is stopped, by its unit
        inputs=lambda: {"access": digest(HBA.encode()), "settings": digest(SETTINGS.encode()), **DATABASES},
        run=work,
        present=(cluster(context.paths) / "PG_VERSION").is_file,
    )


def _stop_database(context: Context) -> None:
    """Single-user mode needs the cluster to itself; the services' step starts it again."""
    if cluster(context.paths).exists() and context.paths.current.exists():
        supervision = choose_supervision(context.paths)
        for service in reversed(context.services):
            supervision.stop(service)


def _publish(path: Path, data: bytes) -> None:
    write_private(path, data)
    path.chmod(0o644)
