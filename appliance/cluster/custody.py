"""The keys of a cluster's assistant, on the administrator's machine: made once, sealed under the site key.

Order: the site key → random secrets, as on a host → the site's authority and the edge's certificate → the links'
authority and a certificate for each link → the log's signing keys. What is there and not due is kept, so that a second
run changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.keys import CheckpointKeys
from appliance.collector.told import SUFFIX
from appliance.install import ca
from appliance.install.steps.secrets import VKEYS
from appliance.install.vault import AUDIT_KEYS, CA_KEY, make_missing
from appliance.link.ways import DOMAIN, server_name
from appliance.site.paths import engine_service
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from appliance.install.vault import Vault
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths
    from appliance.site.secrets import SecretStore

LINKS_CA_KEY = "installer/links-ca.key"
EDGE_KEY = "edge/tls.key"
LINKS_CA, CA, EDGE = "links-ca.pem", "ca.pem", "edge.pem"


def links(config: SiteConfig) -> tuple[str, ...]:
    """Every link of the site: one for each role that speaks to another pod."""
    engines = (engine_link(model.name) for model in config.models)
    return ("audit", "database", "edge", "gateway", "identity", "realm", *engines)


def engine_link(model: str) -> str:
    """The link of the engine that serves ``model``: its service's name, as certificates and pods can spell it."""
    return engine_service(model).replace(".", "-").replace("_", "-").rstrip("-")


def host_link(host: str) -> str:
    """The link of a host of the cluster, by which it tells the log what it observed."""
    return f"{host}{SUFFIX}"


def link_key(link: str) -> str:
    """Name of the secret that holds the private key of ``link``."""
    return f"link-{link}/link.key"


def link_chain(paths: SitePaths, link: str) -> Path:
    """The certificate of ``link``, and its authority's."""
    return paths.tls / f"link-{link}.pem"


def provide(
    paths: SitePaths, vault: Vault, config: SiteConfig, *, hosts: Iterable[str] = (), anew: bool = False
) -> SecretStore:
    """Make what is missing or due and give the opened store. Raises as opening the vault does, before any change.

    ``hosts`` are the cluster's, by name; the certificate of one that left is not kept.
    ``anew``: the certificates of edge and links are issued in any case. Authorities stay: people trust the site's.
    """
    for folder in (paths.secrets, paths.tls, paths.policies):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = vault.create(config.site_key.kind)
    make_missing(store, config)
    if anew:
        _forget_leaves(paths)
    _edge(paths, store, config)
    _links(paths, store, config.name, (*links(config), *map(host_link, hosts)))
    if not all(store.has(name) for name in AUDIT_KEYS):
        keys = CheckpointKeys.generate()
        for name, pem in zip(AUDIT_KEYS, (keys.ed25519_pem(), keys.mldsa44_pem()), strict=True):
            store.put(name, pem)
    keys = CheckpointKeys.load(*(store.get(name) for name in AUDIT_KEYS))
    pinned = "".join(f"{key.encode()}\n" for key in keys.vkeys(config.log_origin))
    _publish(paths.policies / VKEYS, pinned.encode())  # what auditors pin
    return store


def _forget_leaves(paths: SitePaths) -> None:
    for path in (paths.tls / EDGE, *paths.tls.glob("link-*.pem")):
        path.unlink(missing_ok=True)


def _edge(paths: SitePaths, store: SecretStore, config: SiteConfig) -> None:
    """A new authority, which people would have to trust anew, only where there is none that may sign for the name."""
    names, kept = (config.listen.hostname,), paths.tls / CA
    authority = ca.Authority(kept.read_bytes(), store.get(CA_KEY)) if _good(kept, store, CA_KEY) else None
    if authority is None or not ca.covers(authority, names):
        authority = ca.create_authority(config.name, names, ca.utc_now())
        (paths.tls / EDGE).unlink(missing_ok=True)
        _keep(store, CA_KEY, authority.key, kept, authority.certificate)
    if not _good(paths.tls / EDGE, store, EDGE_KEY):
        issued = ca.issue(authority, config.listen.hostname, names, ca.utc_now())
        _keep(store, EDGE_KEY, issued.key, paths.tls / EDGE, issued.chain)


def _links(paths: SitePaths, store: SecretStore, site: str, wanted: Collection[str]) -> None:
    for left in paths.tls.glob(f"link-*{SUFFIX}.pem"):
        if left not in {link_chain(paths, link) for link in wanted}:
            store.remove(link_key(left.stem.removeprefix("link-")))
            left.unlink()
    kept = paths.tls / LINKS_CA
    if not _good(kept, store, LINKS_CA_KEY):
        authority = ca.create_links_authority(site, DOMAIN, ca.utc_now())
        for link in wanted:
            link_chain(paths, link).unlink(missing_ok=True)
        _keep(store, LINKS_CA_KEY, authority.key, kept, authority.certificate)
    authority = ca.Authority(kept.read_bytes(), store.get(LINKS_CA_KEY))
    for link in wanted:
        if not _good(link_chain(paths, link), store, link_key(link)):
            issued = ca.issue_link(authority, server_name(link), ca.utc_now())
            _keep(store, link_key(link), issued.key, link_chain(paths, link), issued.chain)


def _good(certificate: Path, store: SecretStore, key: str) -> bool:
    return store.has(key) and certificate.is_file() and not ca.is_due(certificate.read_bytes(), ca.utc_now())


def _keep(store: SecretStore, key: str, private: bytes, path: Path, certificate: bytes) -> None:
    """The key first: a certificate is there only once its key is."""
    store.put(key, private)
    _publish(path, certificate)


def _publish(path: Path, data: bytes) -> None:
    write_private(path, data)
    path.chmod(0o644)
