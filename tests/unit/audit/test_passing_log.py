"""A log that passes as a stream is believed only as a whole: signed head, every entry, every tile, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.audit.copying import log_files
from appliance.audit.entry import encode_entry
from appliance.audit.events import admin_change
from appliance.audit.merkle import EMPTY_ROOT
from appliance.audit.passing import Passed, PassingLog
from appliance.audit.pruning import find_prunable, prune_record
from appliance.audit.stored import read_stored
from appliance.errors import LogInconsistentError, SovereignError
from tests.audit.aged import fill, steady
from tests.audit.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable

Files = dict[str, bytes]


def files(bench: Bench) -> Files:
    """The log as it is copied, in the order of an archive."""
    found = log_files(read_stored(bench.directory, bench.vkeys))
    return dict(sorted((name, data.read_bytes() if isinstance(data, Path) else data) for name, data in found))


def passed(bench: Bench, told: Files, beginning: int = 0) -> Passed:
    log = PassingLog(bench.vkeys, beginning)
    for name, data in told.items():
        log.take(name, data)
    return log.finish()


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700])
def test_a_whole_log_passes_under_the_head_that_it_signed(bench: Bench, size: int) -> None:
    log = bench.open()
    log.append(bench.records(*range(size))) if size else log.open()
    found = passed(bench, files(bench))
    assert (found.head.size, found.head.root, found.pruned) == (size, log.open().head.root, 0)


def test_the_root_of_an_older_head_is_told_also_in_the_middle_of_a_tile(bench: Bench) -> None:
    log, roots = bench.open(), {0: EMPTY_ROOT}
    for start in range(0, 600, 100):
        log.append(bench.records(*range(start, start + 100)))
        roots[start + 100] = log.open().head.root
    for size, root in roots.items():
        assert passed(bench, files(bench), size).began == root
    with pytest.raises(LogInconsistentError, match="were there before"):
        passed(bench, files(bench), 601)


def test_tiles_above_the_first_two_levels_are_held_against_what_is_below(bench: Bench) -> None:
    bench.fill(256 * 257 + 3, batch=8192)
    told = files(bench)
    assert any(name.startswith("tile/2/") for name in told)
    assert passed(bench, told).head.size == 256 * 257 + 3
    for name in [name for name in told if name.startswith(("tile/1/", "tile/2/"))]:
        with pytest.raises(LogInconsistentError, match="missing or was changed"):
            passed(bench, told | {name: bytes([told[name][0] ^ 1]) + told[name][1:]})


def changed(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


ATTACKS: dict[str, Callable[[Files], Files]] = {
    "an entry changed": lambda t: t | {"tile/entries/000": changed(t["tile/entries/000"])},
    "an entry cut": lambda t: t | {"tile/entries/000": t["tile/entries/000"][:-1]},
    "bytes behind the last entry": lambda t: t | {"tile/entries/000": t["tile/entries/000"] + b"\0"},
    "entries left out": lambda t: {name: data for name, data in t.items() if name != "tile/entries/000"},
    "a tile changed": lambda t: t | {"tile/0/000": changed(t["tile/0/000"])},
    "a tile left out": lambda t: {name: data for name, data in t.items() if name != "tile/0/000"},
    "the last tile left out": lambda t: {name: data for name, data in t.items() if name != "tile/0/001.p/44"},
    "two bundles exchanged for one": lambda t: t | {"tile/entries/001.p/44": t["tile/entries/000"]},
    "a tile beyond the signed size": lambda t: t | {"tile/0/002": t["tile/0/000"]},
    "a width that the tree does not have": lambda t: t | {"tile/0/001.p/43": t["tile/0/001.p/44"][:-32]},
    "another spelling of a tile": lambda t: t | {"tile/0/x000/000": t["tile/0/000"]},
    "a way out of the folder": lambda t: t | {"tile/../../etc/passwd": b"x"},
    "a file of the journal": lambda t: t | {"journal/000": b"x"},
    "a note of a witness that is none": lambda t: t | {"witnessed/a.note": b"x" * 2_000_000},
    "pruned by nobody's word": lambda t: {"checkpoint": t["checkpoint"], "pruned": b'{"end": 256, "entry": 299}', **t},
    "no checkpoint": lambda t: {name: data for name, data in t.items() if name != "checkpoint"},
    "a checkpoint that nobody signed": lambda t: t | {"checkpoint": t["checkpoint"].replace(b"\n300\n", b"\n299\n")},
    "nothing": lambda _: {},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_not_the_signed_log_is_refused(bench: Bench, attack: str) -> None:
    bench.fill(300)
    told = files(bench)
    assert passed(bench, told).head.size == 300
    with pytest.raises(SovereignError):
        passed(bench, ATTACKS[attack](told))


def test_the_log_of_another_site_is_refused(bench: Bench, tmp_path: Path) -> None:
    bench.fill(3)
    other = Bench(tmp_path / "other", origin=bench.origin)
    with pytest.raises(SovereignError):
        passed(other, files(bench))


def test_who_was_erased_is_told_and_a_log_that_tells_it_falsely_is_not_heard(bench: Bench) -> None:
    act = admin_change(actor="uid 0", action="delete", kind="person", target="erased-one")
    bench.open().append([("operator/1", encode_entry(act, "operator/1")), *bench.records(1, 2)])
    told = files(bench)
    assert passed(bench, told).erased == {"erased-one"}
    name = next(name for name in told if name.startswith("tile/entries"))
    with pytest.raises(LogInconsistentError):
        passed(bench, told | {name: told[name].replace(b"erased-one", b"erased-two")})


def test_a_pruned_beginning_may_be_gone_as_far_as_an_entry_says(bench: Bench) -> None:
    fill(bench, steady())
    log = bench.open()
    stored, old = find_prunable(bench.directory, vkeys=bench.vkeys, days=184)
    log.open()
    (index,) = log.append([prune_record(stored, old, old.end, days=184, actor="uid 0")])
    log.prune(old.end, index)
    end = old.end
    told = files(bench)
    assert f"tile/entries/{end // 256 - 1:03d}" not in told
    found = passed(bench, told)
    assert found.pruned == end
    for name in (f"tile/entries/{end // 256:03d}", "pruned"):
        with pytest.raises(LogInconsistentError):
            passed(bench, {one: data for one, data in told.items() if one != name})
