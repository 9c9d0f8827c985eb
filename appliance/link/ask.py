"""`python -m appliance.link.ask SOCKET PATH`: whether a service on a Unix socket answers 200 there; a kubelet's probe.

It is started every few seconds beside the service, so it imports next to nothing.
"""

from __future__ import annotations

import socket
import sys

SECONDS = 4.0
_HEAD_BYTES = 1 << 12


def answers(path: str, asked: str) -> bool:
    """Whether the answer's first line says 200. Raises ``OSError`` where nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(SECONDS)
        connection.connect(path)
        connection.sendall(f"GET {asked} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return connection.recv(_HEAD_BYTES).split(b" ", 2)[1:2] == [b"200"]


def main(argv: list[str]) -> int:
    """Ask; the exit status."""
    path, asked = argv
    try:
        return 0 if answers(path, asked) else 1
    except OSError as error:
        sys.stderr.write(f"{path}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
