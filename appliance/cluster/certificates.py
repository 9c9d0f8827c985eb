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


@dataclass(frozen=True)
class Certificate:
    """A certificate: where it is shown, what it is called, when it ends (ISO 8601, UTC), and the days that are left."""

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


def _read(where: str, name: str, pem: bytes, now: datetime) -> Certificate:
    ends = ca.expiry(pem)
    return Certificate(where, name, ends.isoformat(), (ends - now).days)
