"""The edge's own test passes where people get in to the page and the sign-in, and nowhere else."""

from __future__ import annotations

import json
import ssl
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from appliance.install import ca
from appliance.link import door

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.network
NAME, SIGN_IN = "assistant.example", "/sign-in"
WELL_KNOWN = f"{SIGN_IN}/realms/sovereign/.well-known/openid-configuration"
NOW = datetime.now(UTC)


class Edge(HTTPServer):
    """What answers at the door; ``told`` is status and body by path."""

    told: dict[str, tuple[int, bytes]]


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Edge)
        known = self.headers["Host"].partition(":")[0] == NAME
        status, body = self.server.told.get(self.path, (404, b"")) if known else (421, b"")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is noted."""


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    """An edge of the site whose authority is in `ca.pem`; it has no page and no sign-in yet."""
    authority = ca.create_authority("a-site", (NAME,), NOW)
    leaf = ca.issue(authority, NAME, (NAME,), NOW)
    for name, data in (("ca.pem", authority.certificate), ("tls.pem", leaf.chain), ("tls.key", leaf.key)):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "other.pem").write_bytes(ca.create_authority("another", (NAME,), NOW).certificate)
    found = Edge(("127.0.0.1", 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem", tmp_path / "tls.key")
    found.socket = context.wrap_socket(found.socket, server_side=True)
    found.told = {}
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def ask(edge: Edge, folder: Path, name: str = NAME, authority: str = "ca.pem") -> int:
    return door.main(f"127.0.0.1:{edge.server_port}", name, SIGN_IN, str(folder / authority))


def issuer(origin: str) -> tuple[int, bytes]:
    return 200, json.dumps({"issuer": f"https://{origin}/sign-in/realms/sovereign"}).encode()


def test_where_both_are_there_it_passes(edge: Edge, tmp_path: Path) -> None:
    edge.told = {"/": (200, b"page"), WELL_KNOWN: issuer(NAME)}
    assert ask(edge, tmp_path) == 0


def test_a_port_that_people_type_is_part_of_the_origin(edge: Edge, tmp_path: Path) -> None:
    edge.told = {"/": (200, b"page"), WELL_KNOWN: issuer(f"{NAME}:8443")}
    assert ask(edge, tmp_path, f"{NAME}:8443") == 0
    assert ask(edge, tmp_path) == 1


@pytest.mark.parametrize(
    "told",
    [
        {WELL_KNOWN: issuer(NAME)},
        {"/": (502, b""), WELL_KNOWN: issuer(NAME)},
        {"/": (200, b"page")},
        {"/": (200, b"page"), WELL_KNOWN: (503, b"")},
        {"/": (200, b"page"), WELL_KNOWN: issuer("elsewhere.example")},
        {"/": (200, b"page"), WELL_KNOWN: (200, b"no json")},
        {"/": (200, b"page"), WELL_KNOWN: (200, b"[]")},
    ],
)
def test_where_one_of_them_is_not_there_it_fails(
    edge: Edge, tmp_path: Path, told: dict[str, tuple[int, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    edge.told = told
    assert ask(edge, tmp_path) == 1
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_certificate_of_another_authority_or_name_lets_nobody_in(edge: Edge, tmp_path: Path) -> None:
    edge.told = {"/": (200, b"page"), WELL_KNOWN: issuer(NAME)}
    assert ask(edge, tmp_path, authority="other.pem") == 1
    assert ask(edge, tmp_path, name="other.example") == 1


def test_where_nobody_answers_it_fails(edge: Edge, tmp_path: Path) -> None:
    edge.socket.close()
    assert ask(edge, tmp_path) == 1
