"""A log that lost entries otherwise than by its writer's pruning does not hold, whatever lies beside it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from appliance.audit.entry import encode_entry
from appliance.audit.errors import EntryRefusedError, LogTamperedError
from appliance.audit.events_operation import log_pruned
from appliance.audit.prove import prove
from appliance.audit.pruned import ENTRY, PRUNED, encode_pruned
from appliance.audit.tally_cache import open_cache
from appliance.audit.tiles import encode_entries
from appliance.audit.usage import build_report
from appliance.errors import LogInconsistentError
from tests.audit.aged import COUNT, START, fill, record, records, steady
from tests.audit.bench import Bench
from tests.audit.pruning import prunable_end, serve_log

if TYPE_CHECKING:
    from pathlib import Path

    from tests.audit.pruning import Serve


def _remove(bench: Bench, end: int) -> None:
    for number in range(end // 256):
        (bench.directory / f"tile/entries/{number:03d}").unlink(missing_ok=True)


def test_entries_removed_by_hand_are_missing(aged: Bench) -> None:
    _remove(aged, 512)
    with pytest.raises(LogTamperedError, match="missing"):
        aged.verify()


def test_entries_removed_beyond_those_that_were_pruned_are_missing(pruned: Bench) -> None:
    end = pruned.verify().pruned
    assert end is not None
    (pruned.directory / f"tile/entries/{end.end // 256:03d}").unlink()
    with pytest.raises(LogTamperedError, match="missing"):
        pruned.verify()


@pytest.mark.parametrize("told", ["more", "another entry", "no number", "no json", "gone"])
def test_the_file_beside_the_log_makes_nothing_pruned(pruned: Bench, told: str) -> None:
    found = pruned.verify().pruned
    assert found is not None
    path = pruned.directory / PRUNED
    if told == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {
                "more": encode_pruned(found.end + 256, found.index),
                "another entry": encode_pruned(found.end, found.index - 1),
                "no number": b'{"schema":1,"end":true,"entry":[]}',
                "no json": b"\xff",
            }[told]
        )
    with pytest.raises(LogInconsistentError):
        pruned.verify()
    with pytest.raises(LogInconsistentError):
        prove(pruned.directory, 5, vkeys=pruned.vkeys)


def test_another_writer_s_entry_that_says_the_same_makes_nothing_pruned(aged: Bench) -> None:
    """The kind is right and the id is not the writer's: what a service that was taken over might bring in."""
    event = log_pruned(end=2048, until=1, days=184, actor="uid 0")
    aged.open().append([("gateway/prune/1", encode_entry(event, "gateway/prune/1"))])
    aged.close()
    _remove(aged, 2048)
    (aged.directory / PRUNED).write_bytes(encode_pruned(2048, COUNT))
    with pytest.raises(LogTamperedError):
        aged.verify()


def test_a_writer_that_prunes_too_early_is_found_out_by_what_is_left(bench: Bench) -> None:
    """With the log's keys and its writer's own entry: the entries that are left tell how little time had passed."""
    fill(bench, steady(2000))
    log = bench.open()
    event = log_pruned(end=1024, until=1, days=184, actor="uid 0")
    (index,) = log.append([(f"{ENTRY}1", encode_entry(event, f"{ENTRY}1"))])
    log.prune(1024, index)
    bench.close()
    with pytest.raises(LogTamperedError, match="pruned: entries before 1024 were removed when") as caught:
        bench.verify()
    assert [finding.kind for finding in caught.value.findings] == ["pruned"]


def test_an_edited_hash_of_a_pruned_entry_is_found(pruned: Bench) -> None:
    path = pruned.directory / "tile/0/001"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(LogTamperedError, match="tile/0/001 was rewritten"):
        pruned.verify()


def test_an_id_that_was_used_by_a_pruned_entry_is_not_used_again(pruned: Bench) -> None:
    size = pruned.verify().size
    copy = Bench(pruned.directory.with_name("copy"), pruned.keys)
    shutil.copytree(pruned.directory, copy.directory)
    again = copy.open()
    with pytest.raises(EntryRefusedError, match="was pruned"):
        again.stored(["gateway/a5"])
    assert again.append([record(9_999_999, START)]) == [size]
    copy.close()
    for leftover in copy.directory.glob("ids.sqlite*"):
        leftover.unlink()
    rebuilt = copy.open()  # what is left of the log is what a new index knows
    assert rebuilt.stored(["gateway/a5"]) == {}
    assert list(rebuilt.stored([f"gateway/a{COUNT - 1}"])) == [f"gateway/a{COUNT - 1}"]
    copy.close()


def test_a_report_says_what_is_in_no_figure_and_keeps_what_was_counted_before(
    aged: Bench, serve: Serve, tmp_path: Path
) -> None:
    cache = open_cache(tmp_path / "cache")
    whole = build_report(aged.directory, vkeys=aged.vkeys, known=cache, level=1)
    end = prunable_end(aged)
    with serve_log(aged, serve) as client:
        client.prune(end, "uid 0")
    known = build_report(aged.directory, vkeys=aged.vkeys, known=cache, level=1)
    assert (known.pruned, known.total) == (0, whole.total)
    stranger = open_cache(tmp_path / "stranger")
    for _ in range(2):  # figures of half a block are kept nowhere
        for level in (1, 2):
            fresh = build_report(aged.directory, vkeys=aged.vkeys, known=stranger, level=level)
            assert (fresh.pruned, fresh.total.sign_ins) == (end, whole.total.sign_ins - end)
            assert fresh.as_json()["pruned"] == end


def test_pruning_that_was_cut_off_is_finished_by_the_next(pruned: Bench) -> None:
    found = pruned.verify().pruned
    assert found is not None
    entries = [entry for _, entry in records(steady())]
    (pruned.directory / "tile/entries/000").write_bytes(encode_entries(entries[:256]))
    assert pruned.verify().pruned == found
    assert prove(pruned.directory, 5, vkeys=pruned.vkeys)["index"] == 5
