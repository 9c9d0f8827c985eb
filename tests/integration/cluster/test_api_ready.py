"""A host may have the shared address only while its own API server says under the cluster's authority: ready."""

from __future__ import annotations

import ipaddress
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.roles.plugins import ANSIBLE, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = ANSIBLE / "roles/control_plane/files/api_ready.py"
HERE = "127.0.0.1"


def certificate(path: Path) -> Path:
    """A key and a certificate for this address that signs itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, path.stem)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(minutes=10))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HERE))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    kept = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(kept + built.public_bytes(serialization.Encoding.PEM))
    return path


class Answer(BaseHTTPRequestHandler):
    """Answers `/readyz` with the number that the server was given."""

    def do_GET(self) -> None:
        self.send_response(self.server.told if self.path == "/readyz" else 404)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is noted."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HTTPServer]:
    """A server whose certificate is in `server.pem`."""
    found = HTTPServer((HERE, 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path / "server.pem"))
    found.socket = context.wrap_socket(found.socket, server_side=True)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def says(authority: Path, port: int) -> bool:
    """What the program says, with this authority in place of the cluster's."""
    source = PROGRAM.read_text().replace("/etc/sovereign/api-ca.crt", str(authority)).replace(":6443", f":{port}")
    assert str(port) in source
    assert str(authority) in source
    return subprocess.run([sys.executable, "-c", source, HERE], check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize(("told", "ready"), [(200, True), (204, False), (401, False), (500, False)])
def test_only_a_server_that_is_ready_has_it(server: HTTPServer, tmp_path: Path, told: int, *, ready: bool) -> None:
    server.told = told  # type: ignore[attr-defined]
    assert says(tmp_path / "server.pem", server.server_port) is ready


def test_a_server_of_another_authority_has_it_not(server: HTTPServer, tmp_path: Path) -> None:
    server.told = 200  # type: ignore[attr-defined]
    assert not says(certificate(tmp_path / "another.pem"), server.server_port)


def test_where_nothing_answers_or_no_authority_is_there_yet_it_is_not_had(server: HTTPServer, tmp_path: Path) -> None:
    port = server.server_port
    assert not says(tmp_path / "none.pem", port)
    server.socket.close()
    assert not says(tmp_path / "server.pem", port)


@pytest.mark.parametrize(("authority", "ours"), [("server.pem", True), ("another.pem", False), ("none.pem", False)])
def test_who_answers_at_the_shared_address_is_the_cluster_s_by_its_authority_alone(
    server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: str, *, ours: bool
) -> None:
    certificate(tmp_path / "another.pem")
    probe = load("roles/validate_inputs/files/probe.py")
    monkeypatch.setattr(probe, "API_PORT", server.server_port)
    monkeypatch.setattr(probe, "AUTHORITIES", (str(tmp_path / authority),))
    assert probe.is_our_api(HERE) is ours
