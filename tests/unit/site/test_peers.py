"""The kernel names the peer, and nobody is named by accident."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from appliance.errors import DeploymentError
from appliance.site.paths import SitePaths
from appliance.site.peers import Peer, RefusedPeers, overflow_uid, peer_of, service_uid

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def paths() -> Iterator[SitePaths]:
    with tempfile.TemporaryDirectory() as folder:
        found = SitePaths(Path(folder))
        found.socket("gateway").parent.mkdir(parents=True)
        yield found
        found.socket("gateway").parent.rmdir()
        found.run.rmdir()


def test_the_peer_of_a_unix_socket_is_who_opened_it() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert peer_of(one) == Peer(os.getuid(), os.getgid(), os.getpid())


def test_a_socket_of_another_family_has_no_peer() -> None:
    class Answering:
        """The kernel answers for any socket: with pid 0 and uid 65534 or -1."""

        family = socket.AF_INET

        def getsockopt(self, _level: int, _name: int, length: int, /) -> bytes:
            return bytes(length)

    with pytest.raises(OSError, match="only a Unix socket"):
        peer_of(Answering())


def test_a_service_is_who_owns_its_runtime_folder(paths: SitePaths) -> None:
    assert service_uid(paths, "gateway") == os.getuid()
    assert service_uid(paths, "engine-none") is None


def test_in_a_pod_a_service_is_whom_the_installer_s_list_says(paths: SitePaths) -> None:
    paths.uids.write_text('{"gateway": 20010}')
    assert service_uid(paths, "gateway") == 20010
    assert service_uid(paths, "engine-none") is None


@pytest.mark.parametrize("text", ["", "[20010]", '{"gateway": 0}', '{"gateway": "20010"}', '{"gateway": true}'])
def test_a_list_that_is_none_names_nobody(text: str, paths: SitePaths) -> None:
    paths.uids.write_text(text)
    with pytest.raises(DeploymentError, match="uids") as caught:
        service_uid(paths, "gateway")
    assert caught.value.hint is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away needs root")
def test_the_uid_of_everyone_unknown_is_nobodys(paths: SitePaths) -> None:
    os.chown(paths.socket("gateway").parent, overflow_uid(), -1)
    assert service_uid(paths, "gateway") is None


def test_refusals_are_all_counted_and_seldom_logged() -> None:
    refused = RefusedPeers()
    with structlog.testing.capture_logs() as said:
        for _ in range(100):
            refused.note(Peer(7, 7, 1), "append_refused", cause="no")
        refused.note(Peer(8, 7, 2), "append_refused", cause="no")
    assert dict(refused.counts) == {7: 100, 8: 1}
    assert [(one["uid"], one["count"]) for one in said] == [(7, 2**n) for n in range(7)] + [(8, 1)]
