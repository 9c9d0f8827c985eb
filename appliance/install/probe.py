"""The only module of the installer that opens network sockets: is a port free, does a service answer.

A probe never raises for a service that is not there: not answering is what it is asked about.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 2.0
ANSWER_MAX_S = 10.0
ANSWER_MAX_BYTES = 256 * 1024
_STARTING_UP = b"57P03"  # SQLSTATE cannot_connect_now


@dataclass(frozen=True)
class Probe:
    """What to ask a service. ``target`` is a Unix socket's path, or ``host:port`` for http.

    ``patience_s`` is for each read: one that comes from another host may take longer than ``TIMEOUT_S``.
    """

    kind: Literal["postgres", "unix-http", "http"]
    target: str
    path: str = "/healthz"
    patience_s: float = TIMEOUT_S


def answers(probe: Probe) -> bool:
    """Whether the service behind ``probe`` says that it is ready."""
    try:
        if probe.kind == "postgres":
            return _postgres_ready(probe.target)
        return _http_status(probe) == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


def fetch_json(probe: Probe) -> Any:
    """What the service behind ``probe`` (``unix-http`` or ``http``) answers, parsed; ``None`` when that is no JSON.

    The service may be hostile: it has ``ANSWER_MAX_BYTES``, ``ANSWER_MAX_S`` in all, and strict JSON. It may not answer
    in chunks: ``http.client`` takes a chunk's size for a signed number, and reads without end where that is -1.
    """
    try:
        with _asked(probe) as response:
            body = b"" if response.chunked else response.read(ANSWER_MAX_BYTES + 1)
        return strict_json.load_object(body, max_bytes=ANSWER_MAX_BYTES)
    except (OSError, http.client.HTTPException, FormatError, ValueError):
        return None


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen on ``host:port`` now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        return False
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError:
            return False
    return True


def is_local_address(host: str) -> bool:
    """Whether ``host`` names an address of this machine that can be bound."""
    return port_is_free(host, 0)


def resolves(name: str) -> bool:
    """Whether ``name`` has an address here: the gateway reaches sign-in by the name that people type."""
    try:
        return bool(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    except OSError:
        return False


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, patience_s: float) -> None:
        super().__init__("localhost", timeout=patience_s)
        self._path, self._patience_s = path, patience_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._patience_s)
        self.sock.connect(self._path)


def _connection(probe: Probe) -> http.client.HTTPConnection:
    if probe.kind == "unix-http":
        return _UnixConnection(probe.target, probe.patience_s)
    return http.client.HTTPConnection(probe.target, timeout=probe.patience_s)


def _http_status(probe: Probe) -> int:
    with _asked(probe) as response:
        return response.status


@contextmanager
def _asked(probe: Probe) -> Iterator[http.client.HTTPResponse]:
    """The answer of the service behind ``probe``, whose connection ends after ``ANSWER_MAX_S`` whatever comes by then.

    Its patience is for each read, and one byte at a time would renew it for ever.
    """
    connection = _connection(probe)
    try:
        connection.connect()
        deadline = threading.Timer(ANSWER_MAX_S, _hang_up, [connection.sock])
        deadline.daemon = True
        deadline.start()
        try:
            connection.request("GET", probe.path)
            yield connection.getresponse()
        finally:
            deadline.cancel()
    finally:
        connection.close()


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # it ended at the same moment
        connection.shutdown(socket.SHUT_RDWR)


def _postgres_ready(path: str) -> bool:
    """Send a start-up packet for the gateway's role: being asked for a password means the server is ready.

    (PostgreSQL protocol 3.0, "Start-up". A client that then leaves is not logged as a failure.)
    """
    if not Path(path).is_socket():
        return False
    fields = b"user\0gateway\0database\0sovereign\0\0"
    packet = struct.pack("!II", 8 + len(fields), 196_608) + fields
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(path)
        connection.sendall(packet)
        answer = connection.recv(512)
    return answer[:1] == b"R" or (answer[:1] == b"E" and _STARTING_UP not in answer)
