"""Loopback ports for services that are told their port before they listen on it."""

from __future__ import annotations

import itertools
import os
import socket

# Below the ports that Linux gives to whoever names none, so that no connection takes one in the meantime.
_LOWEST, _EACH, _RANGES = 20_000, 2_000, 6
_range = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _RANGES
_numbers = itertools.count(os.getpid())


def free_port() -> int:
    """A port that nobody listens on and that no test of this run was given lately; each worker has its own range."""
    while True:
        port = _LOWEST + _range * _EACH + next(_numbers) % _EACH
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
