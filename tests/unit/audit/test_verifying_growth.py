"""What the log gained since it was verified is checked in full; hashes of what was before, to what was kept."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from appliance.audit.entry import encode_entry
from appliance.audit.errors import LogTamperedError, NoteError
from appliance.audit.events_operation import log_pruned
from appliance.audit.pruned import ENTRY
from appliance.audit.tiles import WIDTH
from appliance.audit.verify import LogReport, verify_growth
from tests.audit.aged import STEP, fill, records, steady

if TYPE_CHECKING:
    from tests.audit.bench import Bench

BEFORE, AFTER = 700, 1500
READ = BEFORE // WIDTH * WIDTH
"""The first entry that is read again: the kept checkpoint ends within a bundle."""


@pytest.fixture
def kept(bench: Bench) -> str:
    """The checkpoint up to which somebody verified the log, which has grown since."""
    bench.fill(BEFORE)
    checkpoint = (bench.directory / "checkpoint").read_text()
    bench.fill(AFTER - BEFORE, start=BEFORE)
    return checkpoint


def verify(bench: Bench, kept: str) -> LogReport:
    return verify_growth(bench.directory, vkeys=bench.vkeys, kept=kept)


def edit(bench: Bench, path: str, number: int) -> None:
    """Change one entry of a bundle, its length left as it was."""
    file, name = bench.directory / path, f'"e{number}"'.encode()
    data = file.read_bytes()
    assert name in data
    file.write_bytes(data.replace(name, name.replace(b"e", b"f"), 1))


def test_a_log_that_only_grew_holds_and_says_how_much_was_not_read(bench: Bench, kept: str) -> None:
    report = verify(bench, kept)
    assert (report.size, report.unread, report.root) == (AFTER, READ, bench.verify().root)
    assert bench.verify(kept=kept).unread == 0


def test_entries_before_the_kept_checkpoint_are_not_read(bench: Bench, kept: str) -> None:
    for index in range(BEFORE // WIDTH):
        (bench.directory / f"tile/entries/{index:03}").unlink()
    assert verify(bench, kept).unread == READ
    with pytest.raises(LogTamperedError, match="missing"):
        bench.verify(kept=kept)


@pytest.mark.parametrize("number", [READ, BEFORE - 1, BEFORE, AFTER - 1])
def test_every_entry_from_the_kept_checkpoints_bundle_on_is_read(bench: Bench, kept: str, number: int) -> None:
    last = AFTER // WIDTH
    index = number // WIDTH
    edit(bench, f"tile/entries/{index:03}" + (f".p/{AFTER % WIDTH}" if index == last else ""), number)
    with pytest.raises(LogTamperedError, match="1 entry was edited") as caught:
        verify(bench, kept)
    assert [one.index for one in caught.value.findings] == [number]


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/001", "tile/0/003", "tile/1/000.p/5"])
def test_a_changed_hash_is_found_wherever_it_lies(bench: Bench, kept: str, path: str) -> None:
    file = bench.directory / path
    data = bytearray(file.read_bytes())
    data[40] ^= 1
    file.write_bytes(data)
    with pytest.raises(LogTamperedError):
        verify(bench, kept)


def test_another_log_by_the_same_keys_is_no_growth_of_the_kept_one(bench: Bench, kept: str) -> None:
    shutil.rmtree(bench.directory)
    bench.fill(AFTER, start=1)
    with pytest.raises(LogTamperedError, match=f"the first {BEFORE} entries are not those of the kept checkpoint"):
        verify(bench, kept)


def test_a_log_that_was_rewound_before_the_kept_checkpoint_is_found(bench: Bench, kept: str) -> None:
    shutil.rmtree(bench.directory)
    bench.fill(BEFORE - 1)
    with pytest.raises(LogTamperedError, match="rewound"):
        verify(bench, kept)


def test_a_kept_checkpoint_that_nobody_signed_is_nothing_to_go_on_from(bench: Bench, kept: str) -> None:
    with pytest.raises(NoteError):
        verify(bench, kept.replace(str(BEFORE), str(AFTER), 1))


def test_what_was_pruned_too_early_since_is_found_since_then_everything_is_read(bench: Bench) -> None:
    fill(bench, steady(2000))
    checkpoint = (bench.directory / "checkpoint").read_text()
    log = bench.open()
    event = log_pruned(end=1024, until=1, days=184, actor="uid 0")
    (index,) = log.append([(f"{ENTRY}1", encode_entry(event, f"{ENTRY}1"))])
    log.prune(1024, index)
    bench.close()
    with pytest.raises(LogTamperedError, match="pruned: entries before 1024 were removed when"):
        verify(bench, checkpoint)


def test_what_was_pruned_before_the_kept_checkpoint_was_judged_then(bench: Bench) -> None:
    fill(bench, steady(3000))
    log = bench.open()
    event = log_pruned(end=512, until=1, days=184, actor="uid 0")
    (index,) = log.append([(f"{ENTRY}1", encode_entry(event, f"{ENTRY}1"))])
    log.prune(512, index)
    bench.close()
    bench.verify()
    checkpoint = (bench.directory / "checkpoint").read_text()
    late = [moment + timedelta(days=400) for moment in steady(300, step=STEP)]
    bench.open().append(records(late, "gateway/later"))
    bench.close()
    report = verify(bench, checkpoint)
    assert report.unread == (3001 // WIDTH) * WIDTH
    assert report.pruned is not None
    assert (report.pruned.end, report.pruned.index) == (512, index)
