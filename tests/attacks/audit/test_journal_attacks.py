"""What an attacker does to the journal of a writer that was killed: found by everybody who reads the folder, and named.

The attacker owns a copy of the folder, journal included, and whatever the log signed before, but not its keys.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from appliance.audit.errors import LogTamperedError
from appliance.audit.export import export_range
from appliance.audit.journal import JOURNAL, SEGMENT_BYTES, Batch, decode_batches, encode_batch
from appliance.audit.keys import CheckpointKeys
from appliance.audit.prove import prove
from appliance.audit.usage import build_report
from appliance.audit.witness_request import make_request
from appliance.errors import LogInconsistentError, SovereignError
from tests.audit.auditor import Auditor
from tests.audit.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def crashed(bench: Bench, tmp_path: Path) -> Iterator[Bench]:
    """Three hundred entries in tiles, then batches 300-301, 302 and 303-305 in the journal's first segment."""
    log = bench.open()
    log.append(bench.records(*range(300)))
    for batch in ((300, 301), (302,), (303, 304, 305)):
        log.enter(bench.records(*batch))
    copy = Bench(tmp_path / "copy", bench.keys)
    shutil.copytree(bench.directory, copy.directory)
    yield copy
    copy.close()


def _batches(bench: Bench) -> list[Batch]:
    return decode_batches((bench.directory / JOURNAL / "0").read_bytes())


def _write(bench: Bench, batches: list[Batch], segment: int = 0) -> None:
    data = b"".join(encode_batch(batch.first, batch.entries, batch.note) for batch in batches)
    (bench.directory / JOURNAL / str(segment)).write_bytes(data.ljust(SEGMENT_BYTES, b"\0"))


def _everybody(bench: Bench, tmp_path: Path) -> dict[str, Callable[[], object]]:
    """Every reader of a log's folder."""
    auditor = Auditor(bench, tmp_path / "witness")
    return {
        "verify": bench.verify,
        "witness": auditor.cosign,
        "request": lambda: make_request(bench.directory, 0, vkeys=bench.vkeys),
        "prove": lambda: prove(bench.directory, 0, vkeys=bench.vkeys),
        "export": lambda: export_range(bench.directory, tmp_path / "out", first=0, last=1, vkeys=bench.vkeys),
        "report": lambda: build_report(bench.directory, vkeys=bench.vkeys),
    }


def _found(bench: Bench, tmp_path: Path) -> tuple[str, int | None, str]:
    """The one finding that every reader names, having changed nothing."""
    before = bench.snapshot()
    named = set()
    for read in _everybody(bench, tmp_path).values():
        with pytest.raises(LogTamperedError) as caught:
            read()
        named.add((caught.value.findings[0].kind, caught.value.findings[0].index, caught.value.findings[0].detail))
    assert bench.snapshot() == before
    assert not (tmp_path / "out").exists()
    (found,) = named
    return found


def test_everybody_reads_what_a_crash_left_in_the_journal(crashed: Bench, tmp_path: Path) -> None:
    for read in _everybody(crashed, tmp_path).values():
        read()
    assert (crashed.verify().size, crashed.verify().journaled) == (306, 6)
    assert prove(crashed.directory, 305, vkeys=crashed.vkeys)["size"] == 306
    assert make_request(crashed.directory, 303, vkeys=crashed.vkeys).old == 303


@pytest.mark.parametrize("number", [0, 1])
def test_a_batch_that_was_edited_is_named(crashed: Bench, tmp_path: Path, number: int) -> None:
    batches = _batches(crashed)
    changed = batches[number]
    edited = tuple(entry.replace(b'"demo"', b'"omed"') for entry in changed.entries)
    batches[number] = Batch(changed.first, changed.count, edited, changed.note)
    _write(crashed, batches)
    kind, index, detail = _found(crashed, tmp_path)
    assert (kind, index) == ("edited", changed.first)
    assert "was changed: the log's keys signed" in detail


def test_a_flipped_bit_is_named_wherever_a_batch_follows(crashed: Bench, tmp_path: Path) -> None:
    path = crashed.directory / JOURNAL / "0"
    whole = path.read_bytes()
    for where in (50, 800, 3000):
        path.write_bytes(whole[:where] + bytes([whole[where] ^ 1]) + whole[where + 1 :])
        with pytest.raises(LogTamperedError, match="edited: the journal's batch of entries 300 to 301"):
            crashed.verify()
    assert tmp_path.exists()


def test_a_batch_that_was_taken_out_is_named(crashed: Bench, tmp_path: Path) -> None:
    first, _, third = _batches(crashed)
    _write(crashed, [first, third])
    assert _found(crashed, tmp_path)[:2] == ("cut", 302)


def test_a_segment_that_is_gone_though_the_other_goes_on_is_named(crashed: Bench, tmp_path: Path) -> None:
    first, second, third = _batches(crashed)
    _write(crashed, [first])
    _write(crashed, [second, third], segment=1)
    assert crashed.verify().size == 306
    (crashed.directory / JOURNAL / "0").unlink()
    assert _found(crashed, tmp_path)[:2] == ("cut", 300)


def test_a_batch_that_was_put_in_twice_or_moved_is_named(crashed: Bench, tmp_path: Path) -> None:
    first, second, third = _batches(crashed)
    _write(crashed, [first, second], segment=1)
    assert _found(crashed, tmp_path)[:2] == ("inserted", 300)
    shutil.rmtree(tmp_path / "witness")
    _write(crashed, [], segment=1)
    _write(crashed, [first, Batch(302, second.count, second.entries, third.note), third])
    assert _found(crashed, tmp_path)[:2] == ("edited", 302)


def test_a_journal_of_another_log_is_named(crashed: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other", CheckpointKeys.generate())
    log = other.open()
    log.append(other.records(*range(300)))
    log.enter(other.records(300, 301))
    shutil.copytree(other.directory / JOURNAL, crashed.directory / JOURNAL, dirs_exist_ok=True)
    other.close()
    kind, index, detail = _found(crashed, tmp_path)
    assert (kind, index) == ("inserted", 300)
    assert "not signed by the log's keys" in detail


def test_a_batch_under_an_older_checkpoint_is_named(crashed: Bench, tmp_path: Path) -> None:
    batches = _batches(crashed)
    _write(crashed, [*batches[:2], Batch(303, 1, batches[0].entries[:1], batches[1].note)])
    kind, index, detail = _found(crashed, tmp_path)
    assert (kind, index) == ("inserted", 303)
    assert "an older checkpoint" in detail


def test_a_last_batch_under_a_checkpoint_over_other_entries_is_named_and_stops_the_writer(
    crashed: Bench, tmp_path: Path
) -> None:
    """The log's own signature over 306 entries that are not these: no crash made it."""
    fork = Bench(tmp_path / "fork", crashed.keys)
    fork.fill(306, start=1000)
    batches = _batches(crashed)
    note = (fork.directory / "checkpoint").read_bytes()
    _write(crashed, [*batches[:2], Batch(303, 3, batches[2].entries, note)])
    assert _found(crashed, tmp_path)[:2] == ("edited", 303)
    with pytest.raises(LogTamperedError, match="edited"):  # the writer does not go on from here either
        crashed.open().open()


def test_tiles_that_the_journal_does_not_continue_are_named(crashed: Bench, bench: Bench, tmp_path: Path) -> None:
    """An older state of tiles and checkpoint under the journal: the journal begins beyond it."""
    older = Bench(tmp_path / "older", bench.keys)
    older.fill(290)
    for name in ("tile", "checkpoint"):
        path = crashed.directory / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(older.directory / "tile", crashed.directory / "tile")
    shutil.copyfile(older.directory / "checkpoint", crashed.directory / "checkpoint")
    assert _found(crashed, tmp_path)[:2] == ("cut", 290)


def test_tiles_that_are_not_those_the_journal_was_signed_over_are_named(crashed: Bench, bench: Bench) -> None:
    """A second history of the same length in tiles, signed by stolen keys, under the journal of the first."""
    bench.close()
    fork = Bench(crashed.directory.with_name("fork"), bench.keys)
    fork.fill(310, start=5000)
    shutil.copytree(crashed.directory / JOURNAL, fork.directory / JOURNAL)
    with pytest.raises(LogTamperedError) as caught:
        fork.verify()
    assert {finding.kind for finding in caught.value.findings} == {"rewritten"}
    assert "a checkpoint in the journal, behind entry 301" in caught.value.findings[0].detail


def test_an_edited_tile_under_a_journal_is_named_and_the_journal_not_believed(crashed: Bench) -> None:
    path = crashed.directory / "tile/entries/001.p/44"
    path.write_bytes(path.read_bytes().replace(b'"demo"', b'"omed"', 1))
    with pytest.raises(LogTamperedError) as caught:
        crashed.verify()
    found = [(finding.kind, finding.index) for finding in caught.value.findings]
    assert found == [("edited", 256), ("rewritten", None)]
    with pytest.raises(LogInconsistentError):
        prove(crashed.directory, 300, vkeys=crashed.vkeys)


@pytest.mark.parametrize("part", ["last batch", "whole journal"])
def test_33_a_tail_cut_from_the_journal_is_a_rewind_to_whoever_saw_it(
    crashed: Bench, tmp_path: Path, part: str
) -> None:
    """Without what somebody kept, a batch that was cut looks as if it had never been acknowledged."""
    kept = crashed.verify().checkpoint
    auditor = Auditor(crashed, tmp_path / "witness")
    auditor.cosign()
    batches = _batches(crashed)
    _write(crashed, batches[:2] if part == "last batch" else [])
    left = 303 if part == "last batch" else 300
    assert (crashed.verify().size, crashed.verify().incomplete) == (left, 0)
    with pytest.raises(LogTamperedError, match="rewound") as caught:
        crashed.verify(kept=kept)
    assert caught.value.findings[0].index == left
    with pytest.raises(LogTamperedError, match="rewound"):
        auditor.cosign()


def test_a_last_batch_that_is_damaged_is_told_and_a_rewind_to_whoever_saw_it(crashed: Bench) -> None:
    kept = crashed.verify().checkpoint
    path = crashed.directory / JOURNAL / "0"
    data, batches = path.read_bytes(), _batches(crashed)
    end = sum(len(encode_batch(batch.first, batch.entries, batch.note)) for batch in batches)
    path.write_bytes(data[: end - 100] + bytes(100) + data[end:])
    found = crashed.verify()
    assert (found.size, found.journaled, found.incomplete) == (303, 3, 3)
    with pytest.raises(LogTamperedError, match="rewound"):
        crashed.verify(kept=kept)


@pytest.mark.parametrize("name", ["checkpoint", "journal/0", "tile/entries/000", "tile/0/001.p/44"])
@pytest.mark.parametrize("made", ["fifo", "link"])
def test_what_is_no_regular_file_neither_holds_a_reader_nor_leads_it_elsewhere(
    crashed: Bench, tmp_path: Path, name: str, made: str
) -> None:
    path = crashed.directory / name
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    if made == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(elsewhere)
    with pytest.raises(SovereignError, match=r"no regular file|cannot be read"):
        crashed.verify()
