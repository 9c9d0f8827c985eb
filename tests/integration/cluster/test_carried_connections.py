"""Every program that carried a connection has ended, and was waited for, when the block that needed it has."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.cluster.backup import sockets

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

pytestmark = pytest.mark.network


def test_who_comes_as_the_block_ends_leaves_no_program_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way is asked, and its program started, while the block is on its way out."""
    started: list[subprocess.Popen[bytes]] = []
    asked, real = threading.Event(), sockets.attach

    def attach(argv: Sequence[str], connection: socket.socket) -> subprocess.Popen[bytes]:
        started.append(real(argv, connection))
        return started[-1]

    def way() -> list[str]:
        asked.set()
        time.sleep(0.3)
        return ["sleep", "60"]

    monkeypatch.setattr(sockets, "attach", attach)
    monkeypatch.chdir(tmp_path)  # the path of a Unix socket is short
    with sockets.carried(sockets.unix_listener(Path("sock")), way), socket.socket(socket.AF_UNIX) as caller:
        caller.connect("sock")
        assert asked.wait(20)
    assert [child.returncode is not None for child in started] == [True]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_way_that_fails_as_nobody_foresaw_keeps_no_block_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, left = threading.Event(), threading.Event()

    def way() -> list[str]:
        asked.set()
        raise IndexError

    def block() -> None:
        with sockets.carried(sockets.unix_listener(Path("sock")), way), socket.socket(socket.AF_UNIX) as caller:
            caller.connect("sock")
            assert asked.wait(20)
        left.set()

    monkeypatch.chdir(tmp_path)
    threading.Thread(target=block, daemon=True).start()
    assert left.wait(20)
