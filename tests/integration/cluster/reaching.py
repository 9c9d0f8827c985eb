"""A pretended cluster that serves, with a gateway's pod, and sockets that answer in its place."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.pretended_hosts import POD_UID
from tests.unit.cluster.test_packs import PODS, pod, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.cluster.desk import Desk

VOLUME = f"/var/lib/kubelet/pods/{POD_UID}/volumes/kubernetes.io~empty-dir/"


@pytest.fixture
def site(desk: Desk) -> Desk:
    """The desk of a cluster that serves, with a gateway's pod."""
    described = desk.known.described.pods
    desk.paths.pods_yaml.write_bytes(described.model_dump_json(by_alias=True, exclude_none=True).encode())
    desk.hosts.answers[PODS] = told(pod())
    desk.hosts.places[f"{VOLUME}engine-small"] = str(desk.folder / "engine-small")
    desk.hosts.places[f"{VOLUME}engine-other-v2"] = str(desk.folder / "engine-other-v2")
    return desk


@contextmanager
def answering(path: Path, said: bytes) -> Iterator[list[bytes]]:
    """A Unix socket that answers each connection with ``said``; what was asked."""
    path.parent.mkdir(exist_ok=True)
    listener, asked = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), list[bytes]()
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(said)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield asked
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def as_json(value: Any) -> bytes:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body
