"""The audit writer as a process of its own: killed, refused, restarted, and with a disk that really is full."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError, LogFullError
from appliance.audit.roles import GATEWAY
from tests.audit.processes import writers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.audit.bench import Bench


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "run" / "sock"


@pytest.fixture
def start(bench: Bench, tmp_path: Path, socket: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    with writers(bench, tmp_path, socket, {"gateway": os.getuid()}) as begin:
        yield begin


def _append_for_ever(bench: Bench, client: SyncAuditClient, acknowledged: dict[str, int]) -> None:
    while True:
        name = f"e{len(acknowledged)}"
        acknowledged[name] = client.append(bench.event(name, comment=[7] * 25_000), id=GATEWAY.id(name)).index


# A writer killed between the client's look and its connect leaves httpcore with a socket that it forgets to close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_entries_survive_a_kill_at_any_moment(
    bench: Bench, start: Callable[[], subprocess.Popen[bytes]], socket: Path
) -> None:
    acknowledged: dict[str, int] = {}
    for round_ in range(4):
        process = start()
        with SyncAuditClient(socket) as client:
            for number in range(12):
                name = f"r{round_}-{number}"
                if number == 9:
                    process.send_signal(signal.SIGKILL)
                try:
                    acknowledged[name] = client.append(bench.event(name), id=GATEWAY.id(name)).index
                except AuditUnavailableError:
                    break
        process.wait()
    start()
    with SyncAuditClient(socket) as client:
        again = {name: client.append(bench.event(name), id=GATEWAY.id(name)).index for name in acknowledged}
    assert again == acknowledged
    assert len(acknowledged) >= 36
    bench.verify()
    gc.collect()  # here, where it is expected, and not in the middle of another test


def test_a_second_process_is_refused_with_a_reason(start: Callable[[], subprocess.Popen[bytes]]) -> None:
    start()
    second = start()
    assert second.wait() == 5
    assert second.stderr is not None
    assert b"another writer holds the audit log" in second.stderr.read()


def test_a_terminated_writer_removes_its_socket_and_leaves_a_sound_log(
    bench: Bench, start: Callable[[], subprocess.Popen[bytes]], socket: Path
) -> None:
    process = start()
    with SyncAuditClient(socket) as client:
        client.append(bench.event("a"), id="gateway/a")
    assert socket.stat().st_mode & 0o777 == 0o660
    process.terminate()
    process.wait()
    assert not socket.exists()
    assert bench.verify().size == 1
    start()
    with SyncAuditClient(socket) as client:
        assert client.append(bench.event("b"), id="gateway/b").index == 1


def test_a_tampered_log_is_not_served(bench: Bench, start: Callable[[], subprocess.Popen[bytes]]) -> None:
    bench.fill(300)
    (bench.directory / "tile/1/000.p/1").write_bytes(bytes(32))
    process = start()
    assert process.wait() == 6
    assert process.stderr is not None
    assert b"do not hash to its signed checkpoint" in process.stderr.read()


@pytest.fixture
def small_disk(bench: Bench, tmp_path: Path) -> Iterator[Path]:
    """A file system of 17 MiB, mounted where the log will lie: the journal's sixteen, and little beside it."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root; tests/unit/audit/test_full_disk.py plays a full disk everywhere")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=17m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.decode().strip()}")
    bench.directory = disk / "log"
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_is_really_full_refuses_and_recovers_by_itself(
    bench: Bench, small_disk: Path, start: Callable[[], subprocess.Popen[bytes]], socket: Path
) -> None:
    start()
    acknowledged: dict[str, int] = {}
    with SyncAuditClient(socket) as client:
        with pytest.raises(LogFullError):
            _append_for_ever(bench, client, acknowledged)
        with pytest.raises(LogFullError):
            client.append(bench.event("later", comment=[7] * 25_000), id="gateway/later")
        assert acknowledged
        assert bench.verify().size <= len(acknowledged)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://audit") as http:
            assert http.get("/healthz").status_code in {200, 507}
        subprocess.run(["mount", "-o", "remount,size=48m", str(small_disk)], check=True)
        later = client.append(bench.event("later", comment=[7] * 25_000), id="gateway/later")
        assert later.index >= len(acknowledged)
        again = {n: client.append(bench.event(n, comment=[7] * 25_000), id=GATEWAY.id(n)).index for n in acknowledged}
    assert again == acknowledged
    bench.verify()


def test_a_writer_that_starts_on_a_full_disk_waits_for_space(
    bench: Bench, small_disk: Path, start: Callable[[], subprocess.Popen[bytes]], socket: Path
) -> None:
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        file.write(bytes(18 << 20))
        file.flush()
    bench.directory.mkdir()
    start()
    with SyncAuditClient(socket) as client:
        with pytest.raises(LogFullError):
            client.append(bench.event("a"), id="gateway/a")
        ballast.unlink()
        assert client.append(bench.event("a"), id="gateway/a").index == 0
        client.checkpoint()  # what is in the journal goes into tiles
    assert bench.verify().size == 1
