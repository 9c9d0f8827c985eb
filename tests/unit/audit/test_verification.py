"""Offline verification: a sound log passes, and what was done to an unsound one is named."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from appliance.audit.entry import encode_entry
from appliance.audit.errors import LogTamperedError, NoteError
from appliance.audit.findings import compare
from appliance.audit.keys import CheckpointKeys
from appliance.audit.merkle import leaf_hash
from appliance.audit.tiles import decode_entries, encode_entries
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.audit.bench import Bench


def _rewrite(bench: Bench, bundle: str, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path = bench.directory / "tile/entries" / bundle
    entries, _ = decode_entries(path.read_bytes())
    path.write_bytes(encode_entries(change(entries)))


def _found(bench: Bench, **options: object) -> tuple[str, int | None, str]:
    with pytest.raises(LogTamperedError) as caught:
        bench.verify(**options)
    assert caught.value.exit_code == 6
    (finding,) = caught.value.findings
    return finding.kind, finding.index, finding.detail


def _edited(entry: bytes) -> bytes:
    return entry.replace(b'"demo"', b'"omed"')


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 300, 512, 600])
def test_a_sound_log_passes(bench: Bench, size: int) -> None:
    bench.fill(size)
    report = bench.verify()
    assert (report.origin, report.size) == (bench.origin, size)


def test_only_the_folder_and_the_keys_are_needed(bench: Bench) -> None:
    bench.fill(300)
    copy = bench.directory.with_name("copy")
    shutil.copytree(bench.directory, copy, ignore=shutil.ignore_patterns("ids.sqlite*"))
    shutil.rmtree(bench.directory)
    bench.directory = copy
    assert bench.verify().size == 300


def test_every_entry_is_visited_once_and_in_order(bench: Bench) -> None:
    bench.fill(600)
    seen: list[bytes] = []
    ticks: list[tuple[int, int]] = []

    def visit(first: int, entries: list[bytes]) -> None:
        assert first == len(seen)
        seen.extend(entries)

    bench.verify(visit=visit, progress=lambda done, total: ticks.append((done, total)))
    assert seen == [entry for _, entry in bench.records(*range(600))]
    assert ticks == [(256, 600), (512, 600), (600, 600)]


@pytest.mark.parametrize(("bundle", "offset"), [("000", 7), ("000", 255), ("001.p/44", 0), ("001.p/44", 43)])
def test_an_edited_entry_is_named(bench: Bench, bundle: str, offset: int) -> None:
    bench.fill(300)
    _rewrite(bench, bundle, lambda e: [*e[:offset], _edited(e[offset]), *e[offset + 1 :]])
    index = offset + (256 if bundle != "000" else 0)
    assert _found(bench) == ("edited", index, f"1 entry was edited: position {index}")


def test_several_edits_are_one_finding_with_all_positions(bench: Bench) -> None:
    bench.fill(300)
    _rewrite(bench, "000", lambda e: [_edited(one) if n in {3, 9} else one for n, one in enumerate(e)])
    assert _found(bench) == ("edited", 3, "2 entries were edited: positions 3, 9")


def test_a_deleted_entry_is_named(bench: Bench) -> None:
    bench.fill(300)
    _rewrite(bench, "000", lambda e: [*e[:9], *e[12:]])
    assert _found(bench) == ("deleted", 9, "3 entries deleted at position 9")


def test_an_inserted_entry_is_named(bench: Bench) -> None:
    bench.fill(300)
    _rewrite(bench, "000", lambda e: [*e[:9], bench.record("new")[1], *e[9:]])
    assert _found(bench) == ("inserted", 9, "1 entry inserted at position 9")


def test_an_entry_appended_to_a_bundle_is_named(bench: Bench) -> None:
    bench.fill(300)
    _rewrite(bench, "001.p/44", lambda e: [*e, bench.record("new")[1]])
    assert _found(bench) == ("inserted", 300, "1 entry inserted at position 300")


def test_reordered_entries_are_named(bench: Bench) -> None:
    bench.fill(300)
    _rewrite(bench, "000", lambda e: [*e[:9], e[10], e[9], *e[11:]])
    assert _found(bench) == ("reordered", 9, "entries 9 to 10 stand in another order")


def test_a_cut_bundle_is_named(bench: Bench) -> None:
    bench.fill(300)
    _rewrite(bench, "001.p/44", lambda e: e[:-3])
    assert _found(bench) == ("cut", 297, "3 entries from position 297 on are cut off")


def test_a_bundle_cut_inside_an_entry_is_named(bench: Bench) -> None:
    bench.fill(300)
    path = bench.directory / "tile/entries/001.p/44"
    path.write_bytes(path.read_bytes()[:-5])
    assert _found(bench) == ("cut", 299, "1 entry from position 299 on are cut off")


def test_bytes_behind_the_last_entry_are_named(bench: Bench) -> None:
    bench.fill(300)
    path = bench.directory / "tile/entries/001.p/44"
    path.write_bytes(path.read_bytes() + b"\x00")
    kind, index, _ = _found(bench)
    assert (kind, index) == ("inserted", 300)


@pytest.mark.parametrize("name", ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"])
def test_bytes_behind_the_last_hash_of_a_tile_are_named(bench: Bench, name: str) -> None:
    bench.fill(300)
    path = bench.directory / name
    path.write_bytes(path.read_bytes() + bytes(32))
    kind, _, detail = _found(bench)
    assert (kind, detail) == ("rewritten", f"{name} was changed: bytes follow its last hash")


@pytest.mark.parametrize("name", ["tile/entries/000", "tile/0/000", "tile/entries/001.p/44", "tile/1/000.p/1"])
def test_a_missing_file_is_named(bench: Bench, name: str) -> None:
    bench.fill(300)
    (bench.directory / name).unlink()
    kind, _, detail = _found(bench)
    assert kind == "missing"
    assert name in detail


def test_a_changed_tile_is_told_from_a_changed_entry(bench: Bench) -> None:
    bench.fill(300)
    for name in ("tile/0/000", "tile/0/001.p/44"):
        path = bench.directory / name
        sound = path.read_bytes()
        path.write_bytes(bytes(32) + sound[32:])
        kind, _, detail = _found(bench)
        assert (kind, detail) == ("rewritten", f"{name} was changed; its entries are intact")
        path.write_bytes(sound)


def test_an_entry_edited_together_with_its_tile_is_caught_by_the_tile_above(bench: Bench) -> None:
    bench.fill(300)
    _rewrite(bench, "000", lambda e: [_edited(e[0]), *e[1:]])
    entries, _ = decode_entries((bench.directory / "tile/entries/000").read_bytes())
    (bench.directory / "tile/0/000").write_bytes(b"".join(map(leaf_hash, entries)))
    kind, index, detail = _found(bench)
    assert (kind, index) == ("rewritten", 0)
    assert "tile/0/000 was rewritten: entries 0 to 255" in detail


def test_a_log_rewritten_up_to_its_root_is_caught_by_the_checkpoint(bench: Bench) -> None:
    bench.fill(10)
    _rewrite(bench, "000.p/10", lambda e: [_edited(e[0]), *e[1:]])
    entries, _ = decode_entries((bench.directory / "tile/entries/000.p/10").read_bytes())
    (bench.directory / "tile/0/000.p/10").write_bytes(b"".join(map(leaf_hash, entries)))
    assert _found(bench) == (
        "rewritten",
        None,
        "the log's tiles do not hash to the root that the checkpoint signs",
    )


def test_all_findings_of_a_log_are_listed(bench: Bench) -> None:
    bench.fill(600)
    _rewrite(bench, "000", lambda e: [_edited(e[0]), *e[1:]])
    _rewrite(bench, "001", lambda e: e[1:])
    (bench.directory / "tile/entries/002.p/88").unlink()
    with pytest.raises(LogTamperedError) as caught:
        bench.verify()
    assert [(f.kind, f.index) for f in caught.value.findings] == [("edited", 0), ("deleted", 256), ("missing", 512)]
    assert "(and 2 more)" in caught.value.cause


def test_a_bundle_and_its_tile_both_gone_do_not_hide_the_rest(bench: Bench) -> None:
    bench.fill(600)
    (bench.directory / "tile/entries/000").unlink()
    (bench.directory / "tile/0/000").unlink()
    _rewrite(bench, "001", lambda e: [_edited(e[0]), *e[1:]])
    with pytest.raises(LogTamperedError) as caught:
        bench.verify()
    assert [(f.kind, f.index) for f in caught.value.findings] == [("missing", 0), ("missing", 0), ("edited", 256)]


def test_a_kept_checkpoint_must_be_a_prefix(bench: Bench) -> None:
    bench.fill(256)
    kept = (bench.directory / "checkpoint").read_text()
    bench.fill(300, start=256)
    bench.verify(kept=kept)


def test_a_log_shorter_than_the_kept_checkpoint_was_rewound(bench: Bench) -> None:
    bench.fill(20)
    old = shutil.copytree(bench.directory, bench.directory.with_name("old"))
    bench.fill(5, start=20)
    kept = (bench.directory / "checkpoint").read_text()
    bench.directory = old
    assert _found(bench, kept=kept)[:2] == ("rewound", 20)


@pytest.mark.parametrize("size", [20, 25, 300])
def test_another_log_by_the_same_keys_is_no_continuation(bench: Bench, size: int) -> None:
    bench.fill(20)
    kept = (bench.directory / "checkpoint").read_text()
    bench.directory = bench.directory.with_name("fork")
    bench.fill(size, start=1000)
    assert _found(bench, kept=kept)[0] == "rewritten"


def test_foreign_keys_verify_nothing(bench: Bench) -> None:
    bench.fill(3)
    bench.keys = CheckpointKeys.generate()
    with pytest.raises(NoteError, match="no Ed25519"):
        bench.verify()


def test_a_folder_without_a_log_is_a_mistake_of_the_caller(bench: Bench) -> None:
    with pytest.raises(UsageError, match="no audit log"):
        bench.verify()


def test_a_log_without_its_checkpoint_is_inconsistent(bench: Bench) -> None:
    bench.fill(3)
    (bench.directory / "checkpoint").unlink()
    assert _found(bench)[0] == "missing"


@pytest.mark.parametrize(
    ("promised", "actual", "kind", "index"),
    [
        ("abcd", "axcd", "edited", 1),
        ("abcd", "acd", "deleted", 1),
        ("abcd", "abc", "cut", 3),
        ("abcd", "abxcd", "inserted", 2),
        ("abcd", "abcde", "inserted", 4),
        ("abcd", "adcb", "reordered", 1),
        ("abcdef", "axf", "deleted", 1),
        ("abc", "axyzc", "inserted", 1),
        ("aabb", "abab", "reordered", 1),
        ("abcd", "", "cut", 0),
    ],
)
def test_differences_are_told_apart(promised: str, actual: str, kind: str, index: int) -> None:
    (finding,) = compare([c.encode() for c in promised], [c.encode() for c in actual], 0, torn=False)
    assert (finding.kind, finding.index) == (kind, index)


def test_an_entry_may_be_any_bytes_and_still_verify(bench: Bench) -> None:
    log = bench.open()
    log.append([("raw", encode_entry(bench.event("raw", comment="\x00\n\x1b[2J"), "raw"))])
    assert bench.verify().size == 1
