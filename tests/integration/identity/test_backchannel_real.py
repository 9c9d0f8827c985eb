"""Back-channel logout: Keycloak tells the gateway, over the site's TLS, that a session has ended."""

from __future__ import annotations

import contextlib
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from appliance.identity.clients import CLI_CLIENT, WEB_CLIENT
from appliance.identity.tokens import TokenError
from tests.integration.identity.code_flow import Gateway, as_gateway
from tests.integration.keycloak_site import KeycloakSite, SignInPage

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.network


@contextlib.contextmanager
def listening_gateway(site: KeycloakSite) -> Iterator[Queue[tuple[str, str]]]:
    """The gateway's port with its certificate; what is posted lands in the queue as (path, logout token)."""
    received: Queue[tuple[str, str]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.put((self.path, parse_qs(body)["logout_token"][0]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site.paths.tls / "gateway.pem", site.paths.tls / "gateway.key")
    with HTTPServer(("127.0.0.1", site.config.listen.gateway_port), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()


def test_ending_a_session_in_keycloak_notifies_the_gateway(keycloak_site: KeycloakSite) -> None:
    sub = keycloak_site.ensure_user("officer", "analysts")

    async def act(gateway: Gateway) -> None:
        with listening_gateway(keycloak_site) as received, SignInPage(keycloak_site) as page:
            tokens = await gateway.sign_in(page, "officer")
            principal = await gateway.verifier.verify(tokens.access_token)
            with keycloak_site.admin() as admin:
                admin.user_logout(sub)
            path, token = received.get(timeout=60)
        assert path == "/auth/backchannel-logout"
        notice = await gateway.verifier.verify_logout_token(token, client_id=WEB_CLIENT)
        assert (notice.sub, notice.sid) == (sub, principal.session_id)
        with pytest.raises(TokenError):
            await gateway.verifier.verify_logout_token(token, client_id=CLI_CLIENT)
        with pytest.raises(TokenError):
            await gateway.verifier.verify(token)

    as_gateway(keycloak_site, act)


def test_signing_out_in_the_browser_returns_to_the_page(keycloak_site: KeycloakSite) -> None:
    keycloak_site.ensure_user("officer", "analysts")
    home = f"{keycloak_site.config.gateway_url}/"

    async def act(gateway: Gateway) -> None:
        with listening_gateway(keycloak_site) as received, SignInPage(keycloak_site) as page:
            tokens = await gateway.sign_in(page, "officer")
            assert tokens.id_token
            url = await gateway.client.end_session_url(id_token_hint=tokens.id_token, post_logout_redirect_uri=home)
            page.open(url, stop_at=home)
            assert page.answer is not None
            assert page.answer.headers["location"] == home
            assert received.get(timeout=60)[0] == "/auth/backchannel-logout"

    as_gateway(keycloak_site, act)
