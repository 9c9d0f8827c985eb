"""The journal: what was acknowledged from it survives any crash, and nobody without the keys puts anything into it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from appliance.audit.entry import decode_entry
from appliance.audit.errors import AuditUnavailableError, JournalFullError, LogFullError
from appliance.audit.journal import JOURNAL, Journal, decode_batches, decode_journal, encode_batch, read_segments
from appliance.audit.keys import CheckpointKeys
from appliance.audit.log import TileLog
from appliance.audit.storage import DiskStorage
from appliance.audit.tiles import TileReader
from appliance.audit.writer import GroupWriter
from appliance.errors import LogInconsistentError
from tests.audit.bench import Bench
from tests.audit.logged import find

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SEGMENT = 40_000


class StubbornDisk(DiskStorage):
    """Tiles cannot be written as long as ``full`` is set, nor the checkpoint when ``torn``."""

    full = torn = False

    def write(self, files: Mapping[str, bytes]) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(files)

    def replace(self, path: str, data: bytes) -> None:
        if self.torn:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().replace(path, data)


class TornJournal(Journal):
    """Writes only ``length`` bytes of the next record, then fails."""

    length: int | None = None

    def write(self, record: bytes) -> None:
        if self.length is None:
            super().write(record)
            return
        cut, self.length = record[: self.length], None
        super().write(cut)
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def log(bench: Bench) -> TileLog:
    made = TileLog(bench.directory, bench.origin, bench.keys, journal=Journal(bench.directory, SEGMENT))
    bench.logs.append(made)
    made.open()
    return made


@pytest.fixture
def crashed(bench: Bench, log: TileLog, tmp_path: Path) -> Iterator[Bench]:
    """What a power cut left of a log with seven entries, the last three of them in two batches of the journal."""
    log.append(bench.records(0, 1, 2, 3))
    log.enter(bench.records(4, 5))
    log.enter(bench.records(6))
    copy = Bench(tmp_path / "copy", bench.keys)
    shutil.copytree(bench.directory, copy.directory)
    yield copy
    copy.close()


def _names(bench: Bench) -> list[str]:
    size = bench.verify().size
    tiles = TileReader(bench.directory, size)
    return [decode_entry(tiles.entry(index))[0] for index in range(size)]


def _recovery(bench: Bench) -> dict[str, object]:
    size = bench.verify().size
    event = decode_entry(TileReader(bench.directory, size).entry(size - 1))[1]
    found: dict[str, object] = event["unmapped"]["sovereign"]
    return found


def test_what_is_in_the_journal_is_found_and_signed_before_it_is_in_tiles(bench: Bench, log: TileLog) -> None:
    assert log.enter(bench.records(0, 1)) == [0, 1]
    assert log.enter(bench.records(2)) == [2]
    assert find(log, bench.records(0, 2, 3)) == {"e0": 0, "e2": 2}
    found = bench.verify()
    assert (found.size, found.journaled, (bench.directory / "tile").exists()) == (3, 3, False)
    acknowledged = log.signed
    assert acknowledged is not None
    log.settle()
    assert _names(bench) == ["e0", "e1", "e2"]
    assert (bench.directory / "checkpoint").read_text() == acknowledged.note == bench.verify().checkpoint
    assert bench.verify().journaled == 0


@pytest.mark.parametrize("batch", [1, 7, 100, 256, 300])
def test_the_tree_does_not_depend_on_how_it_was_journaled(bench: Bench, tmp_path: Path, batch: int) -> None:
    plain = Bench(tmp_path / "plain", bench.keys)
    plain.fill(600)
    log = bench.open()
    for first in range(0, 600, batch):
        log.enter(bench.records(*range(first, min(first + batch, 600))))
        if first % 3 == 0:
            log.settle()
    bench.close()
    assert bench.verify().root == plain.verify().root
    tiles = sorted(path for path in plain.snapshot() if path.startswith("tile"))
    assert {path: bench.snapshot()[path] for path in tiles} == {path: plain.snapshot()[path] for path in tiles}


def test_after_a_crash_every_acknowledged_batch_is_there_in_its_place(
    bench: Bench, log: TileLog, crashed: Bench
) -> None:
    acknowledged = log.signed
    assert acknowledged is not None
    crashed.open().open()
    assert _names(crashed)[:-1] == [f"e{n}" for n in range(7)]
    assert _recovery(crashed) == {"kind": "log_recovery", "size": 4, "replayed": 3, "dropped": 0}
    crashed.verify(kept=acknowledged.note)
    before = crashed.snapshot()
    crashed.close()
    crashed.open().open()
    assert crashed.snapshot() == before
    assert (bench.verify().size, bench.verify().journaled) == (7, 3)


@pytest.mark.parametrize("cut", ["note", "entries", "zeros"])
def test_a_batch_that_the_disk_got_in_part_is_dropped_and_an_entry_says_so(crashed: Bench, cut: str) -> None:
    path = crashed.directory / JOURNAL / "0"
    data = path.read_bytes()
    first, second = decode_batches(data)
    start = len(encode_batch(first.first, first.entries, first.note))
    end = start + len(encode_batch(second.first, second.entries, second.note))
    at = {"note": end - 1, "entries": start + 100, "zeros": start + 30}[cut]
    torn = data[:at] + bytes(len(data) - at)
    path.write_bytes(torn)
    left = decode_batches(torn)[-1]
    assert crashed.origin.encode() not in left.note or cut == "note"
    crashed.open().open()
    assert _names(crashed)[:-1] == [f"e{n}" for n in range(6)]
    assert _recovery(crashed) == {"kind": "log_recovery", "size": 4, "replayed": 2, "dropped": 1}
    assert not decode_journal(read_segments(crashed.directory))


class ForgetfulJournal(Journal):
    """Cannot be cleared as long as ``stuck`` is set, as where a host stops in the middle of a recovery."""

    stuck = True

    def clear(self) -> None:
        if self.stuck:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().clear()


@pytest.mark.parametrize("cut", ["note", "entries"])
def test_a_recovery_that_stops_before_the_journal_is_cleared_is_done_again(
    bench: Bench, log: TileLog, tmp_path: Path, cut: str
) -> None:
    """The batch that it dropped begins before the head by then, and ends behind it: that is nobody's attack."""
    log.append(bench.records(0, 1))
    log.enter(bench.records(2, 3, 4))
    copy = Bench(tmp_path / "copy", bench.keys)
    shutil.copytree(bench.directory, copy.directory)
    path = copy.directory / JOURNAL / "0"
    data = path.read_bytes()
    (batch,) = decode_batches(data)
    at = len(encode_batch(batch.first, batch.entries, batch.note)) - 1 if cut == "note" else 100
    path.write_bytes(data[:at] + bytes(len(data) - at))
    journal = ForgetfulJournal(copy.directory, SEGMENT)
    stopped = TileLog(copy.directory, copy.origin, copy.keys, journal=journal)
    copy.logs.append(stopped)
    with pytest.raises(AuditUnavailableError):
        stopped.open()
    assert copy.verify().size == 3, "readers see a log that holds, with the recovery's entry"
    journal.stuck = False
    assert stopped.enter(copy.records(5)) == [3]
    stopped.settle()
    assert _names(copy)[:2] == ["e0", "e1"]
    assert _names(copy)[3] == "e5"
    copy.close()


@pytest.mark.parametrize("where", [40, 500, 3000])
def test_a_damaged_batch_that_others_follow_stops_the_writer(crashed: Bench, where: int) -> None:
    path = crashed.directory / JOURNAL / "0"
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)
    before = crashed.snapshot()
    for _ in range(2):
        with pytest.raises(LogInconsistentError, match="entries 4 to 5 was changed, though others follow"):
            crashed.open().open()
        crashed.close()
    assert crashed.snapshot() == before


def test_a_batch_that_is_gone_though_others_follow_stops_the_writer(crashed: Bench) -> None:
    path = crashed.directory / JOURNAL / "0"
    data = path.read_bytes()
    first = decode_batches(data)[0]
    rest = data[len(encode_batch(first.first, first.entries, first.note)) :]
    path.write_bytes(rest)
    with pytest.raises(LogInconsistentError, match="entries 4 to 5 are gone from the journal"):
        crashed.open().open()


@pytest.mark.parametrize("signer", ["stranger", "none", "older note"])
def test_nobody_without_the_keys_puts_a_batch_into_the_journal(crashed: Bench, signer: str) -> None:
    path = crashed.directory / JOURNAL / "0"
    batches = decode_batches(path.read_bytes())
    own = b"".join(encode_batch(batch.first, batch.entries, batch.note) for batch in batches)
    entries = [entry for _, entry in crashed.records(90, 91)]
    copy = Bench(crashed.directory.parent / "forger", CheckpointKeys.generate())
    copy.fill(9)
    notes = {"stranger": (copy.directory / "checkpoint").read_bytes(), "none": b"", "older note": batches[-1].note}
    forged = own + encode_batch(7, entries, notes[signer])
    path.write_bytes(forged.ljust(SEGMENT, b"\0"))
    crashed.open().open()
    assert _names(crashed)[:-1] == [f"e{n}" for n in range(7)]
    assert _recovery(crashed)["dropped"] == 2


def test_batches_that_are_in_tiles_are_not_taken_twice(bench: Bench, log: TileLog) -> None:
    for number in range(60):  # several times around both segments
        try:
            log.enter(bench.records(number))
        except JournalFullError:
            log.append(bench.records(number))
    assert decode_journal(read_segments(bench.directory))
    bench.close()
    bench.open().open()
    assert _names(bench) == [f"e{n}" for n in range(60)]


def test_a_batch_larger_than_a_segment_needs_no_journal(bench: Bench, log: TileLog) -> None:
    log.enter(bench.records(0))
    with pytest.raises(JournalFullError):
        log.enter(bench.records(*range(1, 100)))
    assert log.append(bench.records(*range(1, 100))) == list(range(1, 100))
    assert _names(bench) == [f"e{n}" for n in range(100)]


def test_a_write_that_fails_in_the_midst_is_no_acknowledgement_and_the_log_goes_on(bench: Bench) -> None:
    for length in (0, 10, 200, 2000, 10**6):
        journal = TornJournal(bench.directory, SEGMENT)
        log = TileLog(bench.directory, bench.origin, bench.keys, journal=journal)
        bench.logs.append(log)
        size = log.open().head.size
        log.enter(bench.records(size))
        journal.length = length
        with pytest.raises(AuditUnavailableError):
            log.enter(bench.records(size + 1000))
        log.open()
        found = find(log, bench.records(size, size + 1000))
        assert found["e" + str(size)] == size
        assert ("e" + str(size + 1000) in found) == (length == 10**6)  # it is whole: signed, so it stays
        log.enter(bench.records(size + 2000))
        bench.close()
        bench.verify()


def test_while_tiles_cannot_be_written_the_journal_goes_on_and_nothing_acknowledged_is_lost(bench: Bench) -> None:
    storage = StubbornDisk(bench.directory)
    log = TileLog(bench.directory, bench.origin, bench.keys, storage=storage, journal=Journal(bench.directory, SEGMENT))
    bench.logs.append(log)
    log.open()
    storage.full = True
    log.enter(bench.records(0))
    settlement = log.begin_settling()
    assert settlement is not None
    with pytest.raises(OSError, match="No space") as failed:
        log.write_settlement(settlement)
    assert isinstance(failed.value, OSError)
    log.end_settling(settlement, failed.value)
    held = 1
    with contextlib.suppress(JournalFullError):
        while True:
            log.enter(bench.records(held))
            held += 1
    assert held > 3
    with pytest.raises(LogFullError):
        log.begin_settling()
    with pytest.raises(LogFullError):
        log.append(bench.records(held))
    assert find(log, bench.records(*range(held))) == {f"e{n}": n for n in range(held)}
    storage.full = False
    assert log.append(bench.records(held)) == [held]
    assert _names(bench) == [f"e{n}" for n in range(held + 1)]


def test_a_settlement_that_broke_off_before_its_checkpoint_is_done_again(bench: Bench, tmp_path: Path) -> None:
    storage = StubbornDisk(bench.directory)
    log = TileLog(bench.directory, bench.origin, bench.keys, storage=storage)
    bench.logs.append(log)
    log.enter(bench.records(*range(300)))
    storage.torn = True
    with pytest.raises(AuditUnavailableError):
        log.settle()
    copy = Bench(tmp_path / "copy", bench.keys)
    shutil.copytree(bench.directory, copy.directory)
    copy.open().open()
    assert _names(copy)[:-1] == [f"e{n}" for n in range(300)]
    copy.close()
    storage.torn = False
    log.settle()
    assert _names(bench) == [f"e{n}" for n in range(300)]


def test_a_settlement_that_was_overtaken_writes_nothing(bench: Bench, log: TileLog) -> None:
    log.enter(bench.records(0))
    settlement = log.begin_settling()
    assert settlement is not None
    assert log.begin_settling() is None
    log.enter(bench.records(1))
    log.settle()
    before = bench.snapshot()
    log.write_settlement(settlement)
    log.end_settling(settlement, None)
    assert bench.snapshot() == before
    assert _names(bench) == ["e0", "e1"]


def test_no_commit_waits_for_the_index_of_ids_to_be_written(bench: Bench, log: TileLog) -> None:
    log.enter(bench.records(0))
    settlement = log.begin_settling()
    assert settlement is not None
    assert log._state is not None
    ids = log._state.ids
    with ids._writing:  # what the other thread holds while it writes
        assert find(log, bench.records(0, 1)) == {"e0": 0}
        assert log.enter(bench.records(1)) == [1]
        assert find(log, bench.records(0, 1)) == {"e0": 0, "e1": 1}
    log.write_settlement(settlement)
    log.end_settling(settlement, None)
    assert ids.size == 1
    assert find(log, bench.records(0, 1)) == {"e0": 0, "e1": 1}


def test_the_settlement_of_a_log_that_was_read_anew_meanwhile_writes_nothing(bench: Bench, log: TileLog) -> None:
    log.enter(bench.records(0))
    settlement = log.begin_settling()
    assert settlement is not None
    log._forget()  # as after a write to the journal that failed
    log.open()
    assert log.enter(bench.records(1)) == [2]  # behind the recovery's own entry
    log.settle()
    before = bench.snapshot()
    log.write_settlement(settlement)
    log.end_settling(settlement, None)
    assert bench.snapshot() == before


@pytest.mark.anyio
async def test_many_callers_and_small_segments_end_in_one_log(bench: Bench) -> None:
    log = TileLog(bench.directory, bench.origin, bench.keys, journal=Journal(bench.directory, SEGMENT))
    writer = GroupWriter(log)

    async def call(number: int) -> None:
        for turn in range(20):
            assert (await writer.submit(bench.records(number * 20 + turn))).positions

    await asyncio.gather(*(call(number) for number in range(20)))
    await writer.close()
    assert sorted(_names(bench)) == sorted(f"e{n}" for n in range(400))
