"""What lies in the API for the assistant's pods: from the site, its keys and the release to Secrets and ConfigMaps."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.cluster import objects
from appliance.cluster.custody import CA, EDGE, EDGE_KEY, LINKS_CA, link_chain, link_key, links
from appliance.cluster.seats import uids
from appliance.identity import schema
from appliance.install.database import SUPERUSER
from appliance.install.vault import AUDIT_KEYS, SUPERUSER_PASSWORD, client_secret

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airgap_bundle.store import VerifiedRelease
    from appliance.cluster.objects import Object
    from appliance.cluster.parts import ReleaseParts
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths
    from appliance.site.secrets import SecretStore

_UNSPEAKABLE = re.compile(r"[^A-Za-z0-9._-]|\\.\\.")


@dataclass(frozen=True)
class Content:
    """What pods are given of the release and of the site: ``policies`` are files by path, as the gate reads them.

    ``former`` are digests of images that are admitted beside the release's, on the way from another one.
    """

    release: VerifiedRelease
    parts: ReleaseParts
    site_yaml: bytes
    policies: Mapping[str, bytes]
    former: Collection[str] = ()


def contents(paths: SitePaths, store: SecretStore, config: SiteConfig, content: Content) -> tuple[Object, ...]:
    """Every Secret and ConfigMap that charts mount."""
    return (
        *_settings(paths, config, content),
        *_secrets(paths, store, config),
        _database(store, content),
        *_links(paths, store, config),
    )


def _settings(paths: SitePaths, config: SiteConfig, content: Content) -> tuple[Object, ...]:
    release = content.release
    site = {
        "site.yaml": content.site_yaml,
        "uids.json": json.dumps(uids(config)).encode(),
        "ca.pem": (paths.tls / CA).read_bytes(),
        "release.json": json.dumps(
            {"version": release.version, "number": release.number, "name": release.name}
        ).encode(),
    }
    policies = {_key(path): data for path, data in content.policies.items()}
    return objects.config_map("site", site), objects.config_map("policies", policies)


def _key(path: str) -> str:
    """A ConfigMap's key for a file of one folder at most: `..` stands for the slash, so it is in no name."""
    return "..".join(_UNSPEAKABLE.sub("-", part) for part in path.split("/"))


def _secrets(paths: SitePaths, store: SecretStore, config: SiteConfig) -> tuple[Object, ...]:
    admin, web = store.get("identity/bootstrap_admin_secret"), store.get("gateway/oidc_client_secret")
    keys = ("db_password", "oidc_client_secret", "content_key", "pseudonym_key", "session_key")
    clients = {f"client-{client.id}": store.get(client_secret(client.id)) for client in config.service_clients}
    return (
        objects.secret("identity", {"db_password": store.get("identity/db_password"), "bootstrap_admin_secret": admin}),
        objects.secret("realm", {"bootstrap_admin_secret": admin, "oidc_client_secret": web, **clients}),
        objects.secret("gateway", {key: store.get(f"gateway/{key}") for key in keys}),
        objects.secret("audit", {name.removeprefix("audit/"): store.get(name) for name in AUDIT_KEYS}),
        objects.secret("edge", {"tls.pem": (paths.tls / EDGE).read_bytes(), "tls.key": store.get(EDGE_KEY)}),
    )


def _database(store: SecretStore, content: Content) -> Object:
    passwords = {
        SUPERUSER: store.get(SUPERUSER_PASSWORD),
        "keycloak": store.get("identity/db_password"),
        "gateway": store.get("gateway/db_password"),
    }
    return objects.database(passwords, schema.initial_schema(content.parts.keycloak_version))


def _links(paths: SitePaths, store: SecretStore, config: SiteConfig) -> tuple[Object, ...]:
    return tuple(objects.secret(f"link-{name}", link_files(paths, store, name)) for name in links(config))


def link_files(paths: SitePaths, store: SecretStore, link: str) -> dict[str, bytes]:
    """What ``link`` shows, and whom it believes."""
    authority = (paths.tls / LINKS_CA).read_bytes()
    chain, key = link_chain(paths, link).read_bytes(), store.get(link_key(link))
    return {"links-ca.pem": authority, "link.pem": chain, "link.key": key}
