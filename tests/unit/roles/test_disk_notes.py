"""An audit log and an etcd on one disk are noted, with what a sync takes there; no host is refused for it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cli.cluster import TaskProgress
from appliance.cluster.events import Ended, EventReader, Note
from appliance.cluster.playbook import outcome
from appliance.install.preflight import disk_speed
from tests.unit.roles.plugins import load

if TYPE_CHECKING:
    from types import ModuleType

disks = load("filter_plugins/disks.py")
MEMORY = Path("/dev/shm")
NOTE = {"host": "node1", "check": "disks", "found": "both on [one]", "hint": "mount another"}


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program that reads hosts, whose folders are to be where the test's are."""
    found = load("roles/validate_inputs/files/probe.py")
    monkeypatch.setattr(found, "LOG", tmp_path / "sovereign/volumes/audit")
    monkeypatch.setattr(found, "ETCD", tmp_path / "etcd")
    return found


def told(**read: Any) -> list[dict[str, str]]:
    probes = {host: {"stdout": json.dumps({"disks": value})} for host, value in read.items()}
    found: list[dict[str, str]] = disks.notes(probes)
    return found


def test_a_host_with_both_on_one_file_system_is_noted_with_what_a_sync_takes() -> None:
    (note,) = told(node1={"one": True, "fsync_ms": 3.21}, node2=None, node3={"one": False, "fsync_ms": 9.0})
    assert (note["host"], note["check"]) == ("node1", "disks")
    assert note["found"] == "the audit log and etcd are on one file system: 3.2 ms (99th percentile of fsync)"
    assert "/var/lib/sovereign/volumes" in note["hint"]


@pytest.mark.parametrize("measured", [None, "fast"])
def test_where_no_sync_could_be_tried_the_note_says_so(measured: object) -> None:
    assert told(node1={"one": True, "fsync_ms": measured})[0]["found"].endswith("on one file system: not measured")


@pytest.mark.parametrize("said", [{"unreachable": True, "msg": "off"}, {"stdout": "no json"}, {"stdout": "[]"}])
def test_of_a_host_that_was_not_read_nothing_is_said(said: dict[str, Any]) -> None:
    assert disks.notes({"node1": said, "node2": {"stdout": '{"disks": "both"}'}}) == []


def test_folders_that_are_not_there_yet_are_judged_where_they_will_be(probe: ModuleType, tmp_path: Path) -> None:
    assert probe.disks()["one"] is True
    assert list(tmp_path.iterdir()) == []  # what was tried left nothing


@pytest.mark.skipif(not os.access(MEMORY, os.W_OK), reason="needs a second file system")
def test_a_disk_of_the_log_s_own_is_told_from_etcd_s(probe: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        monkeypatch.setattr(probe, "LOG", Path(folder, "volumes/audit"))
        assert probe.disks()["one"] is False


def test_a_sync_is_measured_as_the_preflight_of_a_single_host_does(
    probe: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = (disk_speed.TRIES, disk_speed.BYTES, disk_speed.SECONDS)
    assert known == (probe.SYNCS, probe.SYNCED_BYTES, probe.SYNC_SECONDS)
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    assert probe.fsync_p99_ms(tmp_path) is not None
    assert sizes == [disk_speed.BYTES * number for number in range(1, disk_speed.TRIES + 1)]


def test_where_nothing_may_be_written_nothing_is_measured(probe: ModuleType) -> None:
    assert probe.fsync_p99_ms(Path("/proc")) is None


def test_a_note_refuses_no_run() -> None:
    note = EventReader().read(json.dumps({"event": "note", **NOTE}))
    assert note == Note(**NOTE)
    assert outcome(0, [note, Ended({"node1": 0})]) == {"node1": 0}


def test_the_command_shows_a_note_beside_its_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with TaskProgress() as tasks:
        tasks.watch(Note(**NOTE))
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "note: node1: disks: both on [one]; mount another\n")
