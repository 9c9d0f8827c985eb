"""The certificates of a cluster and how long they last: the site's and its links' here, Kubernetes' on the hosts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.install import ca

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from appliance.site.paths import SitePaths

SITE, LINKS = "the site", "the links"
AUTHORITIES = {"authority", "ca", "etcd/ca", "front-proxy-ca"}
KUBELET = "kubelet"


@dataclass(frozen=True)
class Certificate:
    """A certificate: where it is shown, what it is called, when it ends (ISO 8601, UTC), and the days that are left.

    One that cannot be read has ended, and ``expires`` is empty.
    """

    where: str
    name: str
    expires: str
    days: int


def kept_here(paths: SitePaths, now: datetime) -> Iterator[Certificate]:
    """The site's authority and edge, the links' authority and each link."""
    for path in sorted(paths.tls.glob("*.pem")) if paths.tls.is_dir() else ():
        ours = path.stem.startswith("link")
        name = path.stem.removeprefix("link-") if ours else path.stem
        yield _read(
            LINKS if ours else SITE, "authority" if path.stem in {"ca", "links-ca"} else name, path.read_bytes(), now
        )


def of_host(host: str, reading: Mapping[str, Any], now: datetime) -> Iterator[Certificate]:
    """Kubernetes' own on one host, as it told them."""
    for name, pem in sorted(reading.get("certificates", {}).items()):
        yield _read(host, name, pem.encode(), now)


def advice(found: Certificate) -> str:
    """What to do about a certificate before it ends: not all are renewed alike."""
    if found.name not in AUTHORITIES:
        of_kubelet = found.name == KUBELET
        return "the kubelet renews it; see its log on the host" if of_kubelet else "`sovereign certificates renew`"
    if found.where in {SITE, LINKS}:
        return "`sovereign install` makes a new one in its last 30 days"
    return "no command renews an authority of Kubernetes; plan a new cluster before it ends"


def _read(where: str, name: str, pem: bytes, now: datetime) -> Certificate:
    try:
        ends = ca.expiry(pem)
    except ValueError:
        return Certificate(where, name, "", -1)
    return Certificate(where, name, ends.isoformat(), (ends - now).days)
