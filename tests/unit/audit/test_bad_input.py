"""What nobody should send, and what a disk should not do: refused or recovered, never silently.

The rest of the list lies beside its subject: line breaks, escapes and surrogates (attack 39), a clock that goes back
(test_log, test_clock, test_clock_attacks), a full disk (test_full_disk), two writers (attack 38), notes with too many,
foreign or missing signatures and checkpoints with extra lines, leading zeros or size 0 (test_notes, test_checkpoints).
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from appliance.audit import append_body, events
from appliance.audit.entry import decode_entry, encode_entry
from appliance.audit.errors import AuditUnavailableError, BadRequestError, EntryTooLargeError, LogFullError
from appliance.audit.ocsf import MAX_LONG
from appliance.audit.storage import DiskStorage
from appliance.audit.stored import read_stored
from appliance.audit.tiles import MAX_ENTRY_BYTES
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.audit.bench import Bench

MEGABYTE = "\N{SNOWMAN}" * 350_000


def test_a_field_of_a_megabyte_is_whole_in_its_event_and_is_no_entry_as_it_is(bench: Bench) -> None:
    event = events.refusal(request_id="r", reason_code="x", status=400, detail=MEGABYTE[: MAX_LONG // 3])
    assert event["status_detail"] == MEGABYTE[: MAX_LONG // 3]
    longer = events.refusal(request_id="r", reason_code="x", status=400, detail=MEGABYTE)["status_detail"]
    assert len(longer.encode()) <= MAX_LONG + 3
    assert longer.endswith("\N{HORIZONTAL ELLIPSIS}")
    with pytest.raises(EntryTooLargeError, match=f"{MAX_ENTRY_BYTES} is the most"):
        encode_entry(bench.event("r", status_detail=MEGABYTE), "r")


@pytest.mark.parametrize(
    "body",
    [
        b'{"entries":[{"id":"\xff","event":{"metadata":{"uid":"\xff"}}}]}',
        b'{"entries":[{"id":"x","event":{"metadata":{"uid":"x"},"a":"\xc3"}}]}',
        b'\xef\xbb\xbf{"entries":[]}',
        '{"entries":[]}'.encode("utf-16"),
        b"",
        b"\x00" * 64,
    ],
)
def test_bytes_that_are_no_utf_8_are_no_entries(body: bytes) -> None:
    with pytest.raises(BadRequestError):
        append_body.read_body(body)


class ReadOnlyStorage(DiskStorage):
    """A disk that was mounted anew without the right to write, as a kernel does after an error."""

    read_only = False

    def write(self, files: Mapping[str, bytes]) -> None:
        self._check()
        super().write(files)

    def replace(self, path: str, data: bytes) -> None:
        self._check()
        super().replace(path, data)

    def _check(self) -> None:
        if self.read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@pytest.fixture
def storage(bench: Bench) -> Iterator[ReadOnlyStorage]:
    made = ReadOnlyStorage(bench.directory)
    yield made
    made.close()


def test_a_disk_that_turned_read_only_refuses_and_says_so_and_appending_resumes(
    bench: Bench, storage: ReadOnlyStorage
) -> None:
    log = bench.open(storage)
    log.append(bench.records(0, 1))
    before = bench.snapshot()
    storage.read_only = True
    with pytest.raises(AuditUnavailableError, match="Read-only file system") as caught:
        log.append(bench.records(2))
    assert not isinstance(caught.value, LogFullError)
    assert bench.snapshot() == before
    storage.read_only = False
    assert log.append(bench.records(2)) == [2]
    assert bench.verify().size == 3


def test_a_journal_on_a_disk_that_turned_read_only_refuses_and_says_so_and_appending_resumes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way that every entry of a service takes: no tile is written before it is acknowledged."""
    log = bench.open()
    assert log.enter(bench.records(0, 1)) == [0, 1]
    before, write = bench.snapshot(), os.pwrite

    def read_only(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "pwrite", read_only)
    for _ in range(2):
        with pytest.raises(AuditUnavailableError, match="Read-only file system") as caught:
            log.enter(bench.records(2))
        assert not isinstance(caught.value, LogFullError)
        assert bench.snapshot().items() >= {name: before[name] for name in ("journal/0", "journal/1")}.items()
    monkeypatch.setattr(os, "pwrite", write)
    (position,) = log.enter(bench.records(2))
    bench.close()
    stored = read_stored(bench.directory, bench.vkeys)
    ids = [decode_entry(stored.tiles.entry(index))[0] for index in range(stored.head.size)]
    assert (ids[:2], ids[position], ids.count("e2")) == (["e0", "e1"], "e2", 1)
    bench.verify()


@pytest.mark.parametrize("name", ["tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1"])
@pytest.mark.parametrize("left", [0, 1, 31])
def test_a_truncated_tile_is_never_written_on(bench: Bench, name: str, left: int) -> None:
    bench.fill(300)
    path = bench.directory / name
    path.write_bytes(path.read_bytes()[:left])
    before = bench.snapshot()
    with pytest.raises(LogInconsistentError):
        bench.open().append(bench.records(300))
    bench.close()
    assert bench.snapshot() == before
    with pytest.raises(LogInconsistentError):
        bench.verify()
