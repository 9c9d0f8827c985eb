"""Sockets of a cluster's services, within reach of this machine for as long as a command needs them.

Each connection here becomes one ssh to a host, where a few lines of Python go on to the socket. So what speaks to the
database and to the log on a host speaks to those of a cluster by the same code. The log's writer knows who is root on
its host as the operator (`audit.roles`): nothing is granted for this that was not there.
"""

from __future__ import annotations

import inspect
import socket
import tempfile
import threading
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.cluster.backup import databases, log, relay
from appliance.errors import SovereignError
from appliance.install.process import attach
from appliance.site.shapes import SIGN_IN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from appliance.cluster.reach import Reach
    from appliance.install.process import Attached

SOCKETS = "sockets"
"""The volume of the charts in which services listen."""
_HOST_PYTHON = "python3"
_KEYCLOAK = "8444"


@contextmanager
def audit_socket(reach: Reach, state_host: str) -> Iterator[Path]:
    """A Unix socket that leads to the log's writer, who takes whoever speaks there for the operator."""
    place = f"{reach.volume(log.POD, SOCKETS)}/sock"
    with tempfile.TemporaryDirectory(prefix="sovereign-") as folder:
        path = Path(folder, "sock")
        with carried(unix_listener(path), partial(on_host, reach, state_host, place)):
            yield path


@contextmanager
def database_socket(reach: Reach, state_host: str) -> Iterator[Path]:
    """The folder of a Unix socket that leads to PostgreSQL; its port is ``databases.PORT``."""
    name = f".s.PGSQL.{databases.PORT}"
    place = f"{reach.volume(databases.POD, SOCKETS)}/{name}"
    with tempfile.TemporaryDirectory(prefix="sovereign-") as folder:
        path = Path(folder, name)
        with carried(unix_listener(path), partial(on_host, reach, state_host, place)):
            yield path.parent


@contextmanager
def keycloak_address(reach: Reach) -> Iterator[str]:
    """Where Keycloak's own port answers here, on loopback: what it asks of callers is what the edge's callers show."""
    pod = reach.pod_of("keycloak")
    argv = reach.inside(pod, "link-identity", log.PYTHON, "-c", inspect.getsource(relay), "127.0.0.1", _KEYCLOAK)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with carried(listener, lambda: argv):
        yield f"http://127.0.0.1:{port}{SIGN_IN}"


def on_host(reach: Reach, host: str, place: str) -> list[str]:
    """The command line that goes on to the Unix socket ``place`` of a host."""
    return reach.on(host, _HOST_PYTHON, "-c", inspect.getsource(relay), place)


def unix_listener(path: Path) -> socket.socket:
    """A Unix socket at ``path`` that listens."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))  # in a folder that is this user's alone
    listener.listen()
    return listener


@contextmanager
def carried(listener: socket.socket, way: Callable[[], Sequence[str]]) -> Iterator[None]:
    """Every connection to ``listener`` is one run of the command line that ``way`` gives; all end with the block.

    Where ``way`` raises a ``SovereignError``, who connected sees the end of the connection.
    """
    running: list[Attached[bytes]] = []
    closed, ended = threading.Event(), threading.Event()

    def serve() -> None:
        try:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # it was closed
                    break
                running[:] = [child for child in running if child.poll() is None]
                with connection, suppress(OSError, SovereignError):  # who cannot be served sees the connection's end
                    running.append(attach(way(), connection))
        finally:
            closed.set()  # whatever ends it: the block waits for this
        ended.wait()  # the programs die with the thread that started them

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        closed.wait()  # a program may just be started for who came last
        for child in running:
            child.kill()
            child.wait()
        ended.set()
        thread.join()
