"""What a host says is bounded before it is read: no line of it ends the collector, and no worker fills the log."""

from __future__ import annotations

import json
import os
import socket as sockets
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.collector.told import MAX_BYTES, MAX_ITEM_BYTES
from tests.attacks.audit.test_cluster_attacks import CALL, REFUSED
from tests.audit.bench import Bench
from tests.audit.collectors import collecting
from tests.unit.roles.observers import deliver

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.audit.collectors import Site

CHARTS = Path(__file__).parents[3] / "charts"
HEAD = b'{"schema": 1, "items": 2}\n'
ONE = deliver.spelled(REFUSED)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="collector-") as name:
        folder = Path(name)
        with collecting(Bench(folder / "log"), folder, {"cluster": os.getuid()}) as made:
            yield made


@pytest.fixture
def before(site: Site) -> Iterator[dict[str, dict[str, Any]]]:
    """The log's entries, which are to be the same afterwards."""
    found = site.entries()
    yield found
    assert site.entries() == found


@pytest.mark.parametrize(
    "said",
    [b"\n", b"{}\n", b"[]\n", b'{"schema": 2, "items": 1}\n', b'{"schema": 1, "items": 0}\n', b"\xff\n",
     b'{"schema": 1, "items": 257}\n', b'{"schema": 1, "items": [{}]}\n', b"x" * (5 << 20) + b"\n",
     HEAD + ONE + b"x" * (33 << 10) + b"\n", HEAD + ONE + b"x" * (5 << 20)],
    ids=["empty", "object", "list", "schema", "nothing", "no UTF-8", "too many", "no number", "too long",
         "an item too long", "an item without end"],
)  # fmt: skip
@pytest.mark.usefixtures("before")
def test_what_is_said_otherwise_is_refused_with_a_reason_and_nothing_of_it_is_logged(site: Site, said: bytes) -> None:
    assert answer(site.port, site.files("node1.hosts"), said) in (b"", b"error")


def answer(port: int, files: Path, said: bytes) -> bytes:
    """What the collector at ``port`` answers: the name of the answer's field, or nothing where it hung up before."""
    with (
        sockets.create_connection(("127.0.0.1", port), 30) as plain,
        deliver.context(files).wrap_socket(plain, server_hostname=deliver.ANSWERS_AS) as link,
    ):
        try:
            link.sendall(said)
            heard = link.makefile("rb").readline()
        except (ConnectionError, ssl.SSLError):
            return b""  # it was too long to be read to its end
    return b"".join(name.encode() for name in json.loads(heard)) if heard else b""


@pytest.mark.usefixtures("before")
def test_more_than_is_read_at_once_is_refused_and_nothing_of_it_is_logged(site: Site) -> None:
    item = deliver.spelled({**CALL, "user": "x" * 30_000})
    said = b'{"schema": 1, "items": 40}\n' + item * 40
    assert len(said) > MAX_BYTES
    assert answer(site.port, site.files("node1.hosts"), said) in (b"", b"error")


def _spread(piece: bytes, most: int) -> bytes:
    return b"[" + piece * ((most - 10) // len(piece)) + b"0]\n"


BOMBS = {
    "one long line": b'{"schema": 1, "items": 1}\n' + _spread(b'{"":0},', 4 << 20),
    "lists": b'{"schema": 1, "items": 31}\n' + _spread(b"[],", MAX_ITEM_BYTES) * 31,
    "objects": b'{"schema": 1, "items": 31}\n' + _spread(b'{"":0},', MAX_ITEM_BYTES) * 31,
    "wide letters": b'{"schema": 1, "items": 31}\n'
    + deliver.spelled({**CALL, "groups": ["\U0001f600" + "x" * 1900] * 16}) * 31,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_line_of_a_host_makes_the_collector_as_large_as_its_pod_may_be(site: Site, bomb: str) -> None:
    """A host that was taken over could end the process by the kernel's hand, and with it the reading of every host."""
    chart = (CHARTS / "audit/templates/statefulset.yaml").read_text()
    limit = int(chart.partition("- name: collector")[2].partition("limits: {memory: ")[2].partition("Mi")[0]) << 20
    with site.collector_alone() as (port, process):
        at_first = resident(process)
        heard = [answer(port, site.files(f"{host}.hosts"), BOMBS[bomb]) for host in ("node1", "node2") * 3]
        assert process.poll() is None
        assert set(heard) <= {b"", b"error", b"taken"}
        assert peak(process) < limit * 3 // 4
        assert peak(process) - at_first < 40 << 20


def test_a_worker_fills_no_log_and_the_control_plane_is_heard_all_the_same(site: Site) -> None:
    """A full log ends answers. A worker has refused packets to tell, some ten rows a minute."""
    heard = []
    with site.collector_alone() as (port, _):
        for turn in range(6):
            rows = [{**REFUSED, "number": f"{'f' * 16}/{turn}{n:03d}"} for n in range(250)]
            said = b'{"schema": 1, "items": 250}\n' + b"".join(map(deliver.spelled, rows))
            heard.append(answer(port, site.files("node2.hosts"), said))
        assert answer(port, site.files("node1.hosts"), said) == b"taken"
    assert heard == [b"taken"] * 4 + [b"error"] * 2


def resident(process: subprocess.Popen[bytes]) -> int:
    return _status(process, "VmRSS")


def peak(process: subprocess.Popen[bytes]) -> int:
    return _status(process, "VmHWM")


def _status(process: subprocess.Popen[bytes], field: str) -> int:
    """Bytes of a field of a process's memory."""
    (line,) = [one for one in Path(f"/proc/{process.pid}/status").read_text().splitlines() if one.startswith(field)]
    return int(line.split()[1]) << 10
