"""The log and its writer: positions, checkpoints, restarts, idempotence, and one writer only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.audit.checkpoint import open_checkpoint
from appliance.audit.entry import decode_entry
from appliance.audit.errors import NoteError, WriterLockedError
from appliance.audit.keys import CheckpointKeys
from appliance.audit.log import TileLog
from appliance.audit.merkle import CompactTree, leaf_hash
from appliance.audit.opening import IDS
from appliance.audit.tiles import TileReader
from appliance.errors import LogInconsistentError
from tests.audit.logged import find
from tests.audit.turned import Turned

if TYPE_CHECKING:
    from tests.audit.bench import Bench


def test_a_new_log_begins_with_a_signed_checkpoint_of_nothing(bench: Bench) -> None:
    signed = bench.open().open()
    assert signed.head.size == 0
    assert bench.verify().size == 0


def test_entries_lie_where_append_said(bench: Bench) -> None:
    log = bench.open()
    assert log.append(bench.records(0, 1, 2)) == [0, 1, 2]
    assert log.append(bench.records(3)) == [3]
    assert log.signed is not None
    tiles = TileReader(bench.directory, log.signed.head.size)
    assert [decode_entry(tiles.entry(n))[0] for n in range(4)] == ["e0", "e1", "e2", "e3"]


@pytest.mark.parametrize("batch", [23, 100, 255, 256, 257, 600])
def test_the_tree_does_not_depend_on_how_entries_were_batched(bench: Bench, batch: int) -> None:
    bench.fill(600, batch=batch)
    tree = CompactTree()
    for _, entry in bench.records(*range(600)):
        tree.append(leaf_hash(entry))
    report = bench.verify()
    assert (report.size, report.root) == (600, tree.root())


def test_every_checkpoint_is_signed_and_later_ones_extend_earlier_ones(bench: Bench) -> None:
    log = bench.open()
    notes = []
    for number in range(5):
        log.append(bench.records(number))
        assert log.signed is not None
        notes.append(log.signed.note)
    for size, note in enumerate(notes, start=1):
        assert open_checkpoint(note.encode(), bench.vkeys).size == size
        bench.verify(kept=note)


def test_partial_tiles_of_every_checkpoint_stay_until_the_full_one_exists(bench: Bench) -> None:
    bench.fill(255, batch=51)
    folder = bench.directory / "tile/entries/000.p"
    assert {path.name for path in folder.iterdir()} == {"51", "102", "153", "204", "255"}
    bench.fill(1, start=255)
    assert not folder.exists()
    assert (bench.directory / "tile/entries/000").is_file()


def test_a_log_goes_on_after_a_restart(bench: Bench) -> None:
    bench.fill(300)
    assert bench.open().append(bench.records(300)) == [300]
    assert bench.verify().size == 301


def test_an_id_is_known_after_a_restart(bench: Bench) -> None:
    bench.fill(300)
    assert find(bench.open(), bench.records(7, 299, 300)) == {"e7": 7, "e299": 299}


def test_the_index_of_ids_is_rebuilt_when_it_is_lost_or_damaged(bench: Bench) -> None:
    bench.fill(300)
    (bench.directory / IDS).write_bytes(b"this is no database at all" * 100)
    assert find(bench.open(), bench.records(7)) == {"e7": 7}
    bench.close()
    (bench.directory / IDS).unlink()
    assert find(bench.open(), bench.records(299)) == {"e299": 299}


def test_an_index_of_another_log_is_noticed_and_rebuilt(bench: Bench) -> None:
    bench.fill(20)
    log = bench.open()
    log.open()
    assert log._state is not None
    log._state.ids.clear()
    log._state.ids.add([f"e{n}" for n in reversed(range(20))], 0)
    assert find(log, bench.records(3)) == {"e3": 3}


def test_an_id_is_found_for_the_same_event_said_to_be_of_another_time(bench: Bench) -> None:
    bench.fill(3)
    log = bench.open()
    assert find(log, [bench.record("e1", time=99)]) == {"e1": 1}
    with pytest.raises(AssertionError):
        find(log, [bench.record("e1", severity_id=3)])


def test_a_second_writer_is_refused(bench: Bench) -> None:
    bench.open().append(bench.records(0))
    with pytest.raises(WriterLockedError, match="another writer"):
        TileLog(bench.directory, bench.origin, bench.keys)
    bench.close()
    assert bench.open().open().head.size == 1


def test_the_lock_is_gone_with_its_writer(bench: Bench) -> None:
    for _ in range(3):
        bench.open().open()
        bench.close()


def test_keys_that_did_not_sign_the_log_do_not_open_it(bench: Bench) -> None:
    bench.fill(3)
    bench.keys = CheckpointKeys.generate()
    log = bench.open()
    with pytest.raises(NoteError):
        log.open()


def test_another_origin_does_not_open_the_log(bench: Bench) -> None:
    bench.fill(3)
    bench.origin = "other.example/audit"
    log = bench.open()
    with pytest.raises(NoteError, match=r"of log 'site\.example/audit'"):
        log.open()


def test_a_log_without_its_checkpoint_is_never_begun_anew(bench: Bench) -> None:
    bench.fill(3)
    (bench.directory / "checkpoint").unlink()
    log = bench.open()
    with pytest.raises(LogInconsistentError, match="no checkpoint"):
        log.open()
    assert not (bench.directory / "checkpoint").exists()


def test_a_log_whose_tiles_were_changed_is_not_opened(bench: Bench) -> None:
    bench.fill(300)
    tile = bench.directory / "tile/1/000.p/1"
    tile.write_bytes(bytes(32))
    log = bench.open()
    with pytest.raises(LogInconsistentError, match="do not hash"):
        log.open()


def test_a_log_that_lost_its_tail_is_not_opened(bench: Bench) -> None:
    bench.fill(10)
    old = bench.snapshot()
    bench.fill(5, start=10)
    for name, data in old.items():
        (bench.directory / name).write_bytes(data)
    for width in (15,):
        (bench.directory / f"tile/entries/000.p/{width}").unlink()
    log = bench.open()
    with pytest.raises(LogInconsistentError, match="holds 10 entries but 15 were signed"):
        log.open()


def test_the_signed_time_never_runs_backwards(bench: Bench) -> None:
    turned = Turned(bench, 1000.0)
    log = turned.open()
    for number, moment in enumerate((2000.0, 500.0, 400.0)):
        turned.now = moment
        log.append(bench.records(number))
        assert bench.verify().head.time == 2000
