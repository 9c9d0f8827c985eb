"""Security headers on every response, and the check of the Host header, as ASGI middleware.

The policy allows scripts, styles and connections of this origin only; a form may go to Keycloak. Nothing is allowed
by a wildcard, and nothing inline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders

from appliance.gateway.errors import MalformedError
from appliance.gateway.problems import error_response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OWN_PORTS = {"http": ":80", "https": ":443"}
_HSTS = "max-age=31536000"
_FEATURES = (
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "usb",
)


def origin_of(url: str) -> str:
    """Scheme and authority of ``url`` as browsers write an origin: in lower case, without the scheme's own port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(_OWN_PORTS[parts.scheme])}"


def security_headers(*, issuer: str, tls: bool) -> dict[str, str]:
    """Headers that every response carries."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"form-action 'self' {origin_of(issuer)}; frame-ancestors 'none'; base-uri 'none'"
    )
    found = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _FEATURES),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
    }
    if tls:
        found["Strict-Transport-Security"] = _HSTS
    return found


class SecurityHeaders:
    """Adds the headers, forbids caching unless the response says otherwise, and refuses foreign Host headers.

    The Host check stops DNS rebinding: a page elsewhere that points its name at this address gets nothing.
    """

    def __init__(self, app: ASGIApp, *, headers: dict[str, str], hosts: Iterable[str]) -> None:
        self._app = app
        self._headers = headers
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with the headers added."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    found[name] = value
                found.setdefault("Cache-Control", "no-store")
            await send(message)

        if Headers(scope=scope).get("host", "").lower() not in self._hosts:
            refusal = error_response(scope["path"], MalformedError("this server does not go by that name"))
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)
