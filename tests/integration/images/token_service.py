"""A token service as registries use one: signs what distribution's `auth.token` accepts, and remembers the scopes."""

from __future__ import annotations

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

from tests.images import Pusher, SmallImage

if TYPE_CHECKING:
    from pathlib import Path

ISSUER, SERVICE = "tests-issuer", "tests-registry"


class TokenService:
    """Gives everybody what they ask for; ``scopes`` lists it. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._key = ECKey.generate_key("P-256", {"kid": "tests", "use": "sig", "alg": "ES256"})
        self._jwks = folder / "jwks.json"
        self._jwks.write_text(json.dumps({"keys": [self._key.as_dict(private=False)]}))
        self.scopes: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def settings(self) -> dict[str, Any]:
        """For the registry's configuration."""
        realm = f"http://127.0.0.1:{self._server.server_port}/token"
        return {"realm": realm, "service": SERVICE, "issuer": ISSUER, "jwks": str(self._jwks)}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def token(self, scope: str) -> str:
        kind, name, actions = scope.split(":")
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": "",
            "aud": SERVICE,
            "exp": now + 300,
            "nbf": now - 10,
            "iat": now,
            "jti": uuid.uuid4().hex,
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        return jwt.encode({"alg": "ES256", "kid": "tests", "typ": "JWT"}, claims, self._key)

    def push(self, host: str, repository: str, image: SmallImage, tag: str) -> None:
        """Push with a token of our own."""
        token = self.token(f"repository:{repository}:pull,push")
        Pusher(host, repository, token=token).image(image, tag)

    def _handler(service) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                (scope,) = parse_qs(urlsplit(self.path).query)["scope"]
                service.scopes.append(scope)
                body = json.dumps({"token": service.token(scope)}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler
