"""The log between a writer's pod and a backup: by the program that is sent there, judged on its way both times."""

from __future__ import annotations

import io
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import ApartError
from appliance.audit.events import refusal
from appliance.audit.events_operation import admin_change, install_step
from appliance.audit.roles import OPERATOR
from appliance.audit.verify import verify_log
from appliance.cluster.backup.log import POD, JudgedLog, log_of, receive_log, take_log
from appliance.cluster.backup.sockets import audit_socket
from appliance.errors import DeploymentError, LogInconsistentError, SovereignError
from tests.audit.bench import Bench, bench
from tests.audit.running import serve, service
from tests.pretended_hosts import POD_UID, PretendedHosts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.audit.running import Running

__all__ = ["bench", "serve", "service"]
MOST = 1 << 30


@pytest.fixture
def hosts(bench: Bench, tmp_path: Path) -> PretendedHosts:
    places = {
        "/usr/bin/python3.11": sys.executable,
        "/site/data/audit/log": str(bench.directory),
        "/var/lib/sovereign/volumes": str(tmp_path / "volumes"),
        f"/var/lib/kubelet/pods/{POD_UID}/volumes/kubernetes.io~empty-dir/sockets": str(tmp_path),
    }
    (tmp_path / "volumes/audit").mkdir(parents=True)
    return PretendedHosts(tmp_path / "hosts", places=places)


def carried(hosts: PretendedHosts, bench: Bench, beginning: int = 0) -> tuple[bytes, JudgedLog]:
    with log_of(hosts.reach(), bench.vkeys, MOST, beginning) as log:
        data = b""
        while piece := log.read():
            data += piece
    return data, log


def test_a_log_comes_out_and_goes_in_as_the_same_log(hosts: PretendedHosts, bench: Bench, tmp_path: Path) -> None:
    writer = bench.open()
    writer.append(bench.records(*range(700)))
    writer.enter(bench.records(700))  # in the journal only
    data, log = carried(hosts, bench)
    passed = log.to_end()
    assert passed.head.size == 701
    place = tmp_path / "volumes/audit"
    again = JudgedLog(io.BytesIO(data), bench.vkeys, MOST)
    assert receive_log(hosts.reach(), "node2", again) == passed
    assert not (place / "log").exists()
    take_log(hosts.reach(), "node2")
    report = verify_log(place / "log", vkeys=bench.vkeys)
    assert (report.size, report.root) == (701, passed.head.root)
    assert [path.name for path in place.iterdir()] == ["log"]
    assert hosts.calls[-1][0] == "10.1.0.2"


def test_texts_that_are_kept_apart_come_along_and_keys_of_people_do_not(
    hosts: PretendedHosts, bench: Bench, tmp_path: Path
) -> None:
    writer, text = bench.open(), "a reason\n" * 500
    step = install_step(step="start", detail=text, actor="uid 0", success=False)
    told = refusal(request_id="r", reason_code="x", status=400, subject="ab" * 16, detail=text)
    records = [writer.keep("operator/step", step, 0), writer.keep("gateway/r", told, 0)]
    writer.append(records)
    data, log = carried(hosts, bench)
    log.to_end()
    receive_log(hosts.reach(), "node2", JudgedLog(io.BytesIO(data), bench.vkeys, MOST))
    take_log(hosts.reach(), "node2")
    place = tmp_path / "volumes/audit/log"
    assert not (place / "apart/people").exists()
    there = Bench(place, keys=bench.keys, origin=bench.origin).open()
    assert [one[2] for one in there.read_apart(records[0][1])] == [text]
    with pytest.raises(ApartError, match="key to what is kept apart is gone"):
        there.read_apart(records[1][1])
    there.close()


def test_a_log_that_was_changed_on_the_way_takes_no_place(hosts: PretendedHosts, bench: Bench, tmp_path: Path) -> None:
    """And what was there stays, also from a writer that went on."""
    bench.fill(300)
    data, _ = carried(hosts, bench)
    place = tmp_path / "volumes/audit"
    (place / "log").mkdir()
    (place / "log/checkpoint").write_bytes(b"older")
    at = data.rindex(b"gateway") if b"gateway" in data else len(data) // 2
    spoilt = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    for wrong in (spoilt, data[:-1024], data[: len(data) // 2], data + b"x"):
        with pytest.raises(LogInconsistentError):
            receive_log(hosts.reach(), "node2", JudgedLog(io.BytesIO(wrong), bench.vkeys, MOST))
        assert (place / "log/checkpoint").read_bytes() == b"older"


@pytest.mark.parametrize("beside", ["other", "other/checkpoint", "witnessed/x.note"])
def test_a_stream_that_has_a_file_beside_the_log_is_refused(hosts: PretendedHosts, bench: Bench, beside: str) -> None:
    """It would be sealed and verified, and then stop every restore."""
    bench.fill(300)
    data, _ = carried(hosts, bench)
    more = io.BytesIO(data)
    with tarfile.open(fileobj=more, mode="a:") as archive:
        archive.addfile(tarfile.TarInfo(beside))
    with pytest.raises(LogInconsistentError, match="is no file of a log"):
        JudgedLog(io.BytesIO(more.getvalue()), bench.vkeys, MOST).to_end()


@pytest.mark.parametrize("size", [0, 512, 5000])
def test_a_stream_that_ends_early_is_no_log(hosts: PretendedHosts, bench: Bench, size: int) -> None:
    bench.fill(300)
    hosts.cuts["kubectl"] = size
    with pytest.raises(SovereignError, match=r"cut short|empty"):
        carried(hosts, bench)


def test_more_than_the_medium_has_room_for_is_refused(hosts: PretendedHosts, bench: Bench) -> None:
    bench.fill(300)
    with pytest.raises(LogInconsistentError, match="exceeds"), log_of(hosts.reach(), bench.vkeys, 10_000) as log:
        log.to_end()


def test_a_log_of_other_keys_is_refused(hosts: PretendedHosts, bench: Bench, tmp_path: Path) -> None:
    bench.fill(3)
    other = Bench(tmp_path / "other", origin=bench.origin)
    with pytest.raises(DeploymentError):  # already where it is read: the writer's own pod says so
        carried(hosts, other)


def test_the_operator_s_entry_goes_in_by_the_writer_s_socket(
    hosts: PretendedHosts, bench: Bench, service: Running
) -> None:
    """Each connection is a program on the host of the state; what the writer answers comes back."""
    assert service.socket.name == "sock"
    event = admin_change(actor="uid 0", action="read", kind="backup", target="sha256:00")
    with audit_socket(hosts.reach(), "node2") as socket:
        with SyncAuditClient(socket) as audit:
            first = audit.append(event, id=OPERATOR.id("backup", "00"))
            assert audit.append(event, id=OPERATOR.id("backup", "00")) == first
        with SyncAuditClient(socket) as audit:
            assert "site.example/audit" in audit.checkpoint()
    assert not socket.exists()
    assert {address for address, words in hosts.calls if "kubectl" not in words} == {"10.1.0.2"}
    bench.close()


def test_no_writer_no_entry(hosts: PretendedHosts) -> None:
    assert POD == "audit-0"
    event = admin_change(actor="uid 0", action="read", kind="backup", target="sha256:00")
    with (
        audit_socket(hosts.reach(), "node2") as socket,
        SyncAuditClient(socket) as audit,
        pytest.raises(SovereignError),
    ):
        audit.append(event, id=OPERATOR.id("backup", "00"))
