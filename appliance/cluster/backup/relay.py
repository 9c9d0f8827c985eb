"""Runs on a host or in a pod, sent there as text: carries stdin to a socket, and what comes back to stdout.

Arguments: the path of a Unix socket, or a host and a port. Plain Python (3.9 or newer) and nothing else.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

PIECE = 65536


def connected(place: str, port: str = "") -> socket.socket:
    """The socket there. A path may be longer than an address of a Unix socket can be: its folder is entered."""
    if port:
        return socket.create_connection((place, int(port)), 15)
    folder, name = os.path.split(place)
    os.chdir(folder)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    found.connect(name)
    return found


def carry(there: socket.socket) -> None:
    """Until the other end has closed."""
    there.settimeout(None)

    def up() -> None:
        data = os.read(0, PIECE)
        while data:
            there.sendall(data)
            data = os.read(0, PIECE)
        there.shutdown(socket.SHUT_WR)

    threading.Thread(target=up, daemon=True).start()
    data = there.recv(PIECE)
    while data:
        while data:
            data = data[os.write(1, data) :]
        data = there.recv(PIECE)


if __name__ == "__main__":
    carry(connected(*sys.argv[1:]))
    os._exit(0)  # the thread may still wait for stdin
