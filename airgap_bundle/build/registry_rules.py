"""What an answer of a registry may make us do: pure decisions of `registry`, which alone opens the network.

A registry is not trusted. It may say where a token or a blob comes from, and these rules say how far that is followed:
HTTPS only, plain HTTP between loopback addresses only, no credentials to an origin that did not ask for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from airgap_bundle.errors import RegistryError
from airgap_bundle.image_reference import is_loopback

MAX_REDIRECTS = 3
MAX_DELAY_SECONDS = 30.0
_PARAMETER = re.compile(r'([a-z]+)="([^"\\]*)"', re.ASCII)
_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})", re.ASCII)


@dataclass(frozen=True)
class Challenge:
    """A `WWW-Authenticate` header (RFC 9110, section 11): ``scheme`` in lower case."""

    scheme: str
    realm: str
    service: str


def base_address(host: str) -> str:
    """`https://HOST`; plain HTTP for a loopback address only."""
    return f"{'http' if is_loopback(host) else 'https'}://{host}"


def parse_challenge(header: str, host: str) -> Challenge:
    """What the registry ``host`` wants. Raises ``RegistryError`` for another scheme than Basic or Bearer."""
    scheme, _, rest = header.strip().partition(" ")
    fields = dict(_PARAMETER.findall(rest))
    if scheme.lower() not in {"basic", "bearer"}:
        raise RegistryError(f"{host} asks for credentials of scheme {scheme[:20]!r}, which this client does not know")
    return Challenge(scheme.lower(), fields.get("realm", ""), fields.get("service", ""))


def check_address(address: str, host: str) -> str:
    """``address`` when the registry ``host`` may send us there. Raises ``RegistryError``."""
    try:
        parts = urlsplit(address)
        target, named = parts.netloc, parts.hostname
    except ValueError as error:
        raise RegistryError(f"{host} sends to an address that cannot be read") from error
    if not named or parts.username is not None or parts.password is not None:
        raise RegistryError(f"{host} sends to an address without a host, or with credentials in it")
    plain = parts.scheme == "http" and is_loopback(host) and is_loopback(target)
    if not plain and parts.scheme != "https":
        raise RegistryError(f"{host} sends to {parts.scheme}://{target}: only https is followed")
    if is_loopback(target) and not is_loopback(host):
        raise RegistryError(f"{host} sends to {target}, an address of this machine")
    return address


def redirect_target(current: str, location: str, host: str) -> str:
    """Where a redirect from ``current`` leads. Raises ``RegistryError`` when it is not followed."""
    if not location:
        raise RegistryError(f"{host} redirects to nowhere")
    try:
        joined = urljoin(current, location)
    except ValueError as error:
        raise RegistryError(f"{host} redirects to an address that cannot be read") from error
    return check_address(joined, host)


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses have one scheme, host and port: only then do credentials go along."""
    left, right = urlsplit(one), urlsplit(other)
    return (left.scheme, left.netloc) == (right.scheme, right.netloc)


def resumes_at(header: str, offset: int, size: int) -> bool:
    """Whether a `Content-Range` is the rest of a blob of ``size`` bytes from ``offset`` on."""
    match = _RANGE.fullmatch(header.strip())
    return match is not None and tuple(map(int, match.groups())) == (offset, size - 1, size)


def retry_delay(header: str, attempt: int) -> float:
    """Seconds to wait before the next attempt: what the registry asks for within reason, else doubling from 0.5."""
    asked = float(header) if header.isascii() and header.isdigit() and len(header) < 6 else 0.5 * 2**attempt  # noqa: PLR2004 - digits of a day in seconds
    return min(asked, MAX_DELAY_SECONDS)
