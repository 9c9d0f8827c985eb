"""Processes of other users that call on a Unix socket. Needs root."""

from __future__ import annotations

import os
import socket as sockets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE_S = 60.0


def as_uid(uid: int, work: Callable[[], bytes]) -> bytes:
    """What ``work`` returns in a child of this process that has become ``uid`` for good.

    The child loads no code of its own: this interpreter may lie where ``uid`` cannot read.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        said = b"the child failed"
        try:
            os.setgroups([])
            os.setresuid(uid, uid, uid)
            said = work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent is to see it and not a second pytest
            said = repr(error).encode()
        finally:
            os.write(writer, said)
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def connect(socket: Path) -> sockets.socket:
    """A connection to ``socket``."""
    connection = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    connection.connect(str(socket))
    return connection


def ask(connection: sockets.socket, head: str, body: bytes = b"") -> bytes:
    """The whole answer to one request, until the server closes the connection; an error after ``PATIENCE_S``."""
    connection.settimeout(PATIENCE_S)
    lines = (head, "Host: x", "Connection: close", f"Content-Length: {len(body)}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    answer = b""
    while part := connection.recv(65_536):
        answer += part
    return answer
