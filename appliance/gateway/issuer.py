"""The gateway's way to Keycloak: HTTPS with the site's CA, at the address Keycloak binds to, or through the edge.

The issuer's name need not resolve on this host (there may be no name service at all); the certificate is still checked
against that name.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

_SECONDS = 10.0
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - replaced here, not bound


def issuer_client(config: SiteConfig, paths: SitePaths) -> httpx.AsyncClient:
    """A client that trusts the site's CA and nothing else. The caller closes it."""
    trusted = ssl.create_default_context(cafile=paths.tls / "ca.pem") if config.scheme == "https" else False
    if config.edge is not None:  # the pod knows the edge by its name
        return httpx.AsyncClient(verify=trusted, timeout=_SECONDS, trust_env=False, follow_redirects=False)
    address = _WILDCARDS.get(config.listen.host, config.listen.host)
    transport = PinnedAddress(httpx.AsyncHTTPTransport(verify=trusted), config.listen.hostname, address)
    return httpx.AsyncClient(transport=transport, timeout=_SECONDS, trust_env=False, follow_redirects=False)


class PinnedAddress(httpx.AsyncBaseTransport):
    """Connects to ``address`` for requests to ``name``; Host header and certificate check keep the name."""

    def __init__(self, inner: httpx.AsyncBaseTransport, name: str, address: str) -> None:
        self._inner = inner
        self._name = name
        self._address = address

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request."""
        if request.url.host == self._name:
            request.extensions = {**request.extensions, "sni_hostname": self._name}
            request.url = request.url.copy_with(host=self._address)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()
