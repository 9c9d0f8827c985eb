"""References to container images: `HOST[:PORT]/REPOSITORY[:TAG][@sha256:HEX]`, nothing implied.

No default registry and no default tag: what is fetched is what is written. Grammar: OCI distribution specification v1.1
for repository, tag and digest; the host is a name with a dot or a port, `localhost`, or `[::1]` with a port.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError

MAX_REPOSITORY = 255
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATTERN = re.compile(
    rf"(?P<host>(?:{_LABEL}(?:\.{_LABEL})*|\[::1\])(?::[0-9]{{1,5}})?)"
    rf"/(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_PORT = re.compile(r"(?<=[^:]):[0-9]{1,5}$", re.ASCII)  # the last group of a bare ::1 is no port
_VERSION_DIGITS = 16


@dataclass(frozen=True)
class ImageReference:
    """One image at one registry; ``tag`` or ``digest`` is there. Where both are, the digest decides what is fetched."""

    host: str
    repository: str
    tag: str | None
    digest: Digest | None

    @property
    def name(self) -> str:
        """`HOST/REPOSITORY`: what a signature's `docker-reference` says."""
        return f"{self.host}/{self.repository}"

    @property
    def asked(self) -> str:
        """What the registry is asked for: a digest, else a tag."""
        return str(self.digest or self.tag)

    @property
    def version(self) -> str:
        """The artifact's version: the tag, or the beginning of the digest where there is none."""
        return self.tag or f"sha256-{Digest(self.digest or '').hex[:_VERSION_DIGITS]}"


def parse_reference(text: str) -> ImageReference:
    """Read ``text``. Raises ``FormatError`` that says what is missing."""
    match = _PATTERN.fullmatch(text)
    if match is None or len(match["repository"]) > MAX_REPOSITORY:
        raise FormatError(f"{text[:120]!r} is no image reference: HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:…")
    host = match["host"]
    if host != "localhost" and not {".", ":"} & set(host):
        raise FormatError(f"{text[:120]!r} names no registry: no registry is implied")
    if match["tag"] is None and match["digest"] is None:
        raise FormatError(f"{text[:120]!r} names neither tag nor digest: no tag is implied")
    return ImageReference(host, match["repository"], match["tag"], Digest(match["digest"]) if match["digest"] else None)


def is_loopback(host: str) -> bool:
    """Whether ``host``, with or without a port, is this machine by its literal name: only there is HTTP plain."""
    name = _PORT.sub("", host)
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
