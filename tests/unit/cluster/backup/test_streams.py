"""What a host sends is whole or refused, and no larger than the medium has room for."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import pytest

from appliance.cluster.backup.etcd import snapshot
from appliance.cluster.backup.streams import MARK, Behind, Whole
from appliance.errors import DeploymentError, RefusedError
from tests.pretended_hosts import PretendedHosts

if TYPE_CHECKING:
    from pathlib import Path

PAGES = bytes(range(256)) * 16
ETCDCTL = """#!/bin/sh
for last; do :; done
test -e "{folder}/broken" && {{ echo "rpc error: no leader" >&2; exit 1; }}
cp "{folder}/snapshot" "$last"
"""


@pytest.mark.parametrize("step", [1, 7, len(MARK), 10_000])
def test_the_mark_ends_a_stream_and_is_not_of_it(step: int) -> None:
    sink, data = io.BytesIO(), b"data that ends with sovereign:" + PAGES
    whole = Whole(sink, "the dump", 1 << 20)
    told = data + MARK.encode()
    for start in range(0, len(told), step):
        whole.write(told[start : start + step])
    whole.finish()
    assert sink.getvalue() == data


@pytest.mark.parametrize("told", [b"", b"data", MARK.encode()[:-1], MARK.encode() + b"x", MARK.encode()[1:]])
def test_a_stream_without_its_mark_was_cut(told: bytes) -> None:
    whole = Whole(io.BytesIO(), "the dump", 1 << 20)
    whole.write(told)
    with pytest.raises(DeploymentError, match="the dump was cut"):
        whole.finish()


def test_a_stream_ends_at_its_bound_however_much_a_host_sends() -> None:
    sink = io.BytesIO()
    whole = Whole(sink, "the dump", 1000)
    for _ in range(10):
        whole.write(b"x" * 100)
    with pytest.raises(RefusedError, match="larger than"):
        whole.write(b"x" * 100)
    assert len(sink.getvalue()) <= 1000


def test_a_line_goes_before_the_data() -> None:
    both = Behind(b"secret\n", io.BytesIO(PAGES))
    read = b""
    while piece := both.read(100):
        read += piece
    assert read == b"secret\n" + PAGES


def snapshots(folder: Path, data: bytes) -> PretendedHosts:
    hosts = PretendedHosts(folder / "hosts", places={"/var/lib/sovereign": str(folder)})
    (folder / "snapshot").write_bytes(data)
    hosts.program("etcdctl", ETCDCTL.format(folder=folder))
    return hosts


def test_a_snapshot_of_etcd_comes_as_it_is_and_leaves_no_file_on_the_host(tmp_path: Path) -> None:
    data = PAGES + hashlib.sha256(PAGES).digest()
    hosts, sink = snapshots(tmp_path, data), io.BytesIO()
    snapshot(hosts.reach(), sink, 1 << 20)
    assert sink.getvalue() == data
    assert not list(tmp_path.glob("etcd.*"))
    assert [address for address, _ in hosts.calls] == ["10.1.0.1"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PAGES,
        PAGES + bytes(32),
        PAGES[:-1] + hashlib.sha256(PAGES[:-1]).digest(),
        hashlib.sha256(b"").digest()[:-1],
    ],
    ids=["nothing", "no digest", "another digest", "half a page", "half a digest"],
)
def test_a_snapshot_that_is_not_whole_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DeploymentError, match="not whole"):
        snapshot(snapshots(tmp_path, data).reach(), io.BytesIO(), 1 << 20)


def test_what_etcdctl_says_is_told_and_its_file_goes(tmp_path: Path) -> None:
    hosts = snapshots(tmp_path, PAGES)
    (tmp_path / "broken").touch()
    with pytest.raises(DeploymentError, match="no leader"):
        snapshot(hosts.reach(), io.BytesIO(), 1 << 20)
    assert not list(tmp_path.glob("etcd.*"))
