"""Two writers of one cluster's log, each with a copy of it: one signs, and one that was stopped meanwhile never does.

The writers are processes, stopped as a host stops them (SIGSTOP); the API server is a double that keeps one Lease.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from tests.audit.api_server import PATH, ApiServer, api_server
from tests.audit.bench import Bench
from tests.audit.processes import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DURATION, DEADLINE, RENEW = 6.0, 4.0, 0.2
PROGRAM = f"""
import os, signal, sys
from pathlib import Path
import httpx
from appliance.audit import roles
from appliance.audit.keys import CheckpointKeys
from appliance.audit.lease import Lease, Terms
from appliance.audit.lease_api import LeaseApi
from appliance.audit.lease_note import HolderNote
from appliance.audit.server import serve
directory, socket, origin, keys, api, holder, members = sys.argv[1:]
keys = Path(keys)
lease = Lease(
    LeaseApi(httpx.Client(base_url=api, timeout=1.0, trust_env=False), {PATH!r}), holder,
    HolderNote(Path(directory)) if members == "1" else None,
    terms=Terms({DURATION}, {DEADLINE}, {RENEW}), ended=lambda: os.kill(os.getpid(), signal.SIGTERM),
)
serve(
    directory=Path(directory), socket=Path(socket), origin=origin,
    keys=CheckpointKeys.load((keys / "ed25519").read_bytes(), (keys / "mldsa44").read_bytes()),
    roles=roles.Roles.of_holders([(os.getuid(), roles.GATEWAY)]), lease=lease,
)
"""


@dataclass
class Writer:
    """A writer of a copy of the log."""

    bench: Bench
    socket: Path
    process: subprocess.Popen[bytes]

    def append(self, name: str) -> int:
        with SyncAuditClient(self.socket) as audit:
            return audit.append(self.bench.event(name), id=f"gateway/{name}").index

    def answers(self) -> bool:
        with contextlib.suppress(AuditUnavailableError), SyncAuditClient(self.socket) as audit:
            return bool(audit.health())
        return False


@dataclass
class Site:
    """The API server and the writers that were started."""

    api: ApiServer
    folder: Path
    keys: Bench
    writers: list[Writer]

    def start(self, name: str, log: Path, control_planes: int = 3) -> Writer:
        bench = Bench(log, keys=self.keys.keys, origin=self.keys.origin)
        socket = self.folder / f"{name}.sock"
        words = [str(log), str(socket), bench.origin, str(self.folder), self.api.address, name, str(control_planes)]
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, *words], stderr=subprocess.DEVNULL)
        self.writers.append(Writer(bench, socket, process))
        return self.writers[-1]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    keys = Bench(tmp_path / "log")
    (tmp_path / "ed25519").write_bytes(keys.keys.ed25519_pem())
    (tmp_path / "mldsa44").write_bytes(keys.keys.mldsa44_pem())
    with api_server() as api:
        made = Site(api, tmp_path, keys, [])
        try:
            yield made
        finally:
            for writer in made.writers:
                with contextlib.suppress(ProcessLookupError):
                    writer.process.kill()
                    writer.process.send_signal(signal.SIGCONT)
                writer.process.wait()


def test_a_writer_that_was_stopped_past_its_lease_signs_nothing_when_it_goes_on(site: Site) -> None:
    one = site.start("one", site.folder / "log")
    until(one.answers)
    assert one.append("a") == 0
    one.process.send_signal(signal.SIGSTOP)
    shutil.copytree(site.folder / "log", site.folder / "copy", ignore=shutil.ignore_patterns("ids.sqlite-*"))
    begin = time.monotonic()
    other = site.start("other", site.folder / "copy")
    until(other.answers)
    assert time.monotonic() - begin >= DEADLINE
    assert site.api.holder == "other"
    last = other.append("b")  # behind an entry that tells of the recovery, where the copy was taken in between
    assert last > 0
    signed = one.bench.verify()
    one.process.send_signal(signal.SIGCONT)
    with pytest.raises(AuditUnavailableError):
        one.append("c")
    assert one.process.wait(30) is not None  # it ends by itself
    after = one.bench.verify()
    assert (after.size, after.root) == (signed.size, signed.root)
    assert site.api.holder == "other"
    assert other.append("d") == last + 1
    assert other.bench.verify().size == last + 2


def test_a_writer_without_an_api_server_stops_before_its_lease_ends_and_goes_on_after(site: Site) -> None:
    one = site.start("one", site.folder / "log")
    until(one.answers)
    assert one.append("a") == 0
    site.api.reachable = False
    begin = time.monotonic()
    until(lambda: not one.answers())
    assert time.monotonic() - begin <= DURATION
    before = one.bench.verify()
    with pytest.raises(AuditUnavailableError, match="renew its lease"):
        one.append("b")
    assert one.bench.verify().root == before.root
    site.api.reachable = True
    until(one.answers)
    assert one.append("b") == 1
    assert one.process.poll() is None


def test_with_a_control_plane_of_one_host_its_silence_stops_nobody_and_a_container_begins_anew(site: Site) -> None:
    log = site.folder / "log"
    one = site.start("one", log, 1)
    until(one.answers)
    assert one.append("a") == 0
    site.api.reachable = False
    end = time.monotonic() + DURATION + DEADLINE
    while time.monotonic() < end:
        assert one.answers()
        time.sleep(RENEW)
    assert one.append("b") == 1
    one.process.kill()
    one.process.wait()
    other = site.start("other", site.folder / "copy", 1)
    again = site.start("one", log, 1)
    until(again.answers)
    assert again.append("c") > 1
    assert not other.socket.exists()
    site.api.reachable = True
    time.sleep(5 * RENEW)
    assert again.append("d") > 2
    assert site.api.holder == "one"
    assert again.process.poll() is None


@pytest.mark.parametrize("status", [401, 403, 404])
def test_with_a_control_plane_of_one_host_its_word_stops_the_writer_for_good(site: Site, status: int) -> None:
    log = site.folder / "log"
    one = site.start("one", log, 1)
    until(one.answers)
    assert one.append("a") == 0
    before = one.bench.verify()
    site.api.denies = status
    one.process.wait(30)
    site.api.denies, site.api.reachable = 0, False
    again = site.start("one", log, 1)
    time.sleep(DEADLINE)
    assert not again.answers()
    assert one.bench.verify().root == before.root
    site.api.reachable = True
    until(again.answers)  # it is asked, and nobody else has it
    assert again.append("b") == 1


def test_with_a_control_plane_of_one_host_who_was_cut_off_ends_when_it_hears_of_another(site: Site) -> None:
    one = site.start("one", site.folder / "log", 1)
    until(one.answers)
    assert one.append("a") == 0
    site.api.reachable = False
    time.sleep(DEADLINE + 1)
    assert one.append("b") == 1
    with site.api._lock:
        site.api.spec = {"holderIdentity": "other", "leaseTransitions": 2, "leaseDurationSeconds": int(DURATION)}
        site.api.version += 1
    before = one.bench.verify()
    site.api.reachable = True
    one.process.wait(30)
    assert one.bench.verify().size == before.size
    assert site.api.holder == "other"


def test_a_second_writer_waits_and_follows_at_once_when_the_first_ends(site: Site) -> None:
    one = site.start("one", site.folder / "log")
    until(one.answers)
    other = site.start("other", site.folder / "copy")
    time.sleep(DURATION + 1)
    assert not other.socket.exists()
    assert not (site.folder / "copy/checkpoint").exists()
    one.process.terminate()
    one.process.wait(30)
    assert site.api.holder in {"", "other"}
    until(other.answers)
    assert os.path.lexists(site.folder / "copy/checkpoint")
