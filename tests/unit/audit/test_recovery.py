"""What a crash leaves behind the checkpoint: complete records are kept, an incomplete tail is dropped and reported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from appliance.audit.entry import decode_entry
from appliance.audit.tiles import TileReader, encode_entries
from tests.audit.logged import find

if TYPE_CHECKING:
    from tests.audit.bench import Bench


def _crash(bench: Bench, count: int, *, more: int, cut: int = 0) -> None:
    """A log of ``count`` entries with ``more`` behind its checkpoint, whose last bundle lacks ``cut`` bytes."""
    bench.fill(count)
    before = bench.snapshot()
    index = bench.directory / "ids.sqlite"
    ids = index.read_bytes()
    bench.fill(more, start=count)
    for leftover in bench.directory.glob("ids.sqlite-*"):
        leftover.unlink()
    index.write_bytes(ids)
    for name, data in before.items():  # partial tiles outlive the checkpoint that needs them
        (bench.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (bench.directory / name).write_bytes(data)
    if cut:
        size = count + more
        last = bench.directory / f"tile/entries/{size // 256:03d}.p/{size % 256}"
        last.write_bytes(last.read_bytes()[:-cut])


def _entries(bench: Bench) -> list[str]:
    size = bench.verify().size
    tiles = TileReader(bench.directory, size)
    return [decode_entry(tiles.entry(n))[0] for n in range(size)]


def _last_event(bench: Bench) -> dict:
    size = bench.verify().size
    return json.loads(TileReader(bench.directory, size).entry(size - 1))["unmapped"]["sovereign"]


@pytest.mark.parametrize(
    ("count", "more"), [(0, 1), (3, 1), (3, 5), (250, 20), (256, 1), (255, 1), (10, 600), (512, 256)]
)
def test_complete_records_behind_the_checkpoint_are_kept_in_order(bench: Bench, count: int, more: int) -> None:
    _crash(bench, count, more=more)
    log = bench.open()
    log.open()
    assert _entries(bench)[:-1] == [f"e{n}" for n in range(count + more)]
    assert _last_event(bench) == {"kind": "log_recovery", "size": count, "replayed": more, "dropped": 0}
    assert find(log, bench.records(count)) == {f"e{count}": count}


@pytest.mark.parametrize(("count", "more", "cut"), [(3, 1, 1), (3, 5, 10), (250, 20, 1), (0, 2, 5), (256, 3, 700)])
def test_an_incomplete_tail_is_dropped_and_an_entry_says_so(bench: Bench, count: int, more: int, cut: int) -> None:
    _crash(bench, count, more=more, cut=cut)
    bench.open().open()
    last = _last_event(bench)
    assert last["kind"] == "log_recovery"
    assert last["size"] == count
    assert last["dropped"] == 1 if cut < 200 else last["dropped"] >= 1
    assert last["replayed"] + last["dropped"] == more
    assert _entries(bench)[:-1] == [f"e{n}" for n in range(count + last["replayed"])]


def test_zeros_where_the_disk_never_got_the_bytes_are_dropped(bench: Bench) -> None:
    _crash(bench, 3, more=2)
    torn = bench.directory / "tile/entries/000.p/5"
    data = torn.read_bytes()
    torn.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    bench.open().open()
    assert _entries(bench)[:3] == ["e0", "e1", "e2"]
    assert bench.verify().size in {4, 5}


def test_a_tail_that_does_not_continue_the_log_is_not_taken_in(bench: Bench) -> None:
    bench.fill(3)
    foreign = encode_entries([entry for _, entry in bench.records(7, 8, 9, 10)])
    (bench.directory / "tile/entries/000.p/4").write_bytes(foreign)
    bench.open().open()
    assert _entries(bench)[:3] == ["e0", "e1", "e2"]
    assert _last_event(bench)["replayed"] == 0


def test_a_crash_during_recovery_is_recovered(bench: Bench) -> None:
    _crash(bench, 250, more=20, cut=1)
    bench.open().open()
    signed = bench.snapshot()
    bench.close()
    assert bench.open().open().head.size == bench.verify().size
    assert bench.snapshot() == signed


def test_an_undisturbed_log_gains_no_entry_by_being_opened(bench: Bench) -> None:
    bench.fill(300)
    before = bench.snapshot()
    for _ in range(3):
        bench.open().open()
        bench.close()
    assert bench.snapshot() == before


def test_scratch_files_of_a_crash_are_harmless(bench: Bench) -> None:
    bench.fill(3)
    (bench.directory / "checkpoint.new").write_bytes(b"half a chec")
    (bench.directory / "tile/entries/000.p/4.new").write_bytes(b"half")
    assert bench.open().append(bench.records(3)) == [3]
    assert bench.verify().size == 4


def test_files_behind_the_recovered_log_are_gone(bench: Bench) -> None:
    _crash(bench, 3, more=600, cut=0)
    (bench.directory / "tile/entries/000").write_bytes(b"torn")
    bench.open().open()
    assert bench.verify().size == 4
    assert not (bench.directory / "tile/entries/001").exists()
    assert not (bench.directory / "tile/0/001").exists()


def test_a_defect_once_a_batch_is_durable_has_no_second_tree_signed_in_its_place(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = bench.open()
    log.enter(bench.records(0))

    def defect(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(log._ready().ids, "note", defect)
        with pytest.raises(RuntimeError):
            log.enter(bench.records(1))
    assert log.signed is None, "it would go on from a tree that the disk is ahead of"
    log.enter(bench.records(2))
    bench.close()
    assert [one for one in _entries(bench) if one.startswith("e")] == ["e0", "e1", "e2"]
