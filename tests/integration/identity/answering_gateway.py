"""A gateway double on the gateway's real port and certificate: discovery, models, and a streamed answer to good tokens.

It verifies tokens with the production verifier against the real Keycloak. Answers stream word by word and stop when the
client goes away, which the double notices.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import anyio

from appliance.identity.clients import AUDIENCE, CLI_CLIENT
from appliance.identity.tokens import TokenError, TokenVerifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.identity.tokens import Principal
    from tests.integration.keycloak_site import KeycloakSite

RECEIPT = {
    "model": {"name": "gemma3-270m", "digest": "sha256:" + "0" * 64, "signers": ["targets-1"]},
    "log": {"origin": "sovereign/test-site", "request_index": 6, "answer_index": 7},
}


@dataclass
class Seen:
    """What reached the gateway."""

    users: list[str] = field(default_factory=list)
    questions: list[list[dict[str, str]]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    refuse: tuple[int, dict[str, Any]] | None = None


def chunk(content: str, finish_reason: str | None = None, **extra: Any) -> bytes:
    """One server-sent event of a chat stream."""
    choice = {"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"model": "gemma3-270m", "choices": [choice], **extra}).encode() + b"\n\n"


class AnsweringHandler(BaseHTTPRequestHandler):
    """One request; ``site`` and ``seen`` are set on a subclass per gateway."""

    site: ClassVar[KeycloakSite]
    seen: ClassVar[Seen]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/.well-known/sovereign":
            body = {"issuer": self.site.config.issuer, "cli_client_id": CLI_CLIENT, "api_version": 1}
            self._reply(200, body)
        elif self._person():
            self._reply(200, {"data": [{"id": "gemma3-270m"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        person = self._person()
        if person is None:
            return
        if self.seen.refuse is not None:
            self._reply(*self.seen.refuse)
            return
        self.seen.users.append(person.username)
        self.seen.questions.append(body["messages"])
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self._stream(body["messages"][-1]["content"])

    def _stream(self, question: str) -> None:
        try:
            while "slowly" in question:
                self.wfile.write(chunk("word "))
                time.sleep(0.05)
            for piece in ("The capital ", "is \x1b[31mParis", "."):
                self.wfile.write(chunk(piece))
            self.wfile.write(chunk("", "stop", sovereign={"receipt": RECEIPT}) + b"data: [DONE]\n\n")
        except OSError:
            self.seen.stopped.set()

    def _person(self) -> Principal | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")

        async def verify() -> Principal:
            async with self.site.async_http() as http:
                return await TokenVerifier(self.site.config.issuer, AUDIENCE, http).verify(token)

        try:
            return anyio.run(verify)
        except TokenError as error:
            self._reply(401, {"error": {"message": error.cause}})
            return None

    def _reply(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def answering_gateway(site: KeycloakSite) -> Iterator[Seen]:
    """Serve until the block ends. A question that holds ``slowly`` is answered without end."""
    seen = Seen()

    handler = type("BoundHandler", (AnsweringHandler,), {"site": site, "seen": seen})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site.paths.tls / "gateway.pem", site.paths.tls / "gateway.key")
    with ThreadingHTTPServer(("127.0.0.1", site.config.listen.gateway_port), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join()
