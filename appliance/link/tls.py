"""TLS of the links: version 1.3, and no side without a certificate of the links' authority.

That authority signs for links and nothing else, and is not the one that browsers of the site trust.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from appliance.errors import DeploymentError
from appliance.link.ways import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

AUTHORITY, CHAIN, KEY = "links-ca.pem", "link.pem", "link.key"


def contexts(credentials: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The context of who listens, and of who calls. Raises ``DeploymentError`` for missing or foreign files."""
    try:
        return tuple(_context(credentials, kind) for kind in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT))  # type: ignore[return-value]
    except (OSError, ssl.SSLError) as error:
        raise DeploymentError(
            f"the link's certificate cannot be used: {error}", "run the installation again: it issues what is missing"
        ) from error


def _context(credentials: Path, kind: ssl._SSLMethod) -> ssl.SSLContext:
    context = ssl.SSLContext(kind)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile=credentials / AUTHORITY)
    context.load_cert_chain(credentials / CHAIN, credentials / KEY)
    return context


def caller(certificate: Mapping[str, Any] | None, admitted: Collection[str]) -> str | None:
    """Which of ``admitted`` a verified certificate names; None when it names none of them, or several."""
    names = [str(value) for kind, value in (certificate or {}).get("subjectAltName", ()) if kind == "DNS"]
    found = {name.removesuffix(f".{DOMAIN}") for name in names if name.endswith(f".{DOMAIN}")} & set(admitted)
    return found.pop() if len(found) == 1 else None
