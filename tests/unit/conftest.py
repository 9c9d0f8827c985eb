"""Unit tests stay inside the process: no network socket, only Unix sockets."""

from __future__ import annotations

import pytest
from pytest_socket import disable_socket


@pytest.fixture(autouse=True)
def _no_network() -> None:
    """Any attempt to open a network socket fails the test that made it."""
    disable_socket(allow_unix_socket=True)
