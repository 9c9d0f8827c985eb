"""What is to hold all of a log is a copy, an export or an archive of this very log, to its last entry; nothing else."""

from __future__ import annotations

import json
import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from appliance.audit import whole
from appliance.audit.archive import write_archive
from appliance.audit.errors import ArchiveError, LogTamperedError, NoteError
from appliance.audit.export import export_range
from appliance.audit.merkle import leaf_hash
from appliance.audit.stored import read_stored
from appliance.audit.whole import check_whole
from appliance.errors import UsageError
from tests.audit.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint

    Take = Callable[[Bench, Path], None]


def head(bench: Bench) -> Checkpoint:
    return read_stored(bench.directory, bench.vkeys).head


def check(bench: Bench, folder: Path, gone: int = 0) -> None:
    check_whole(folder, head(bench), vkeys=bench.vkeys, gone=gone)


def copy(bench: Bench, out: Path) -> None:
    shutil.copytree(bench.directory, out)


def export(bench: Bench, out: Path) -> None:
    export_range(bench.directory, out, first=0, last=head(bench).size - 1, vkeys=bench.vkeys)


def archive(bench: Bench, out: Path) -> None:
    write_archive(bench.directory, out, vkeys=bench.vkeys)


@pytest.mark.parametrize("take", [copy, export, archive])
@pytest.mark.parametrize("size", [256, 512])
def test_each_of_the_three_may_hold_the_whole_log(bench: Bench, tmp_path: Path, take: Take, size: int) -> None:
    bench.fill(size)
    take(bench, tmp_path / "out")
    check(bench, tmp_path / "out")


@pytest.mark.parametrize("take", [copy, export])
@pytest.mark.parametrize("size", [1, 300, 513])
def test_a_log_that_ends_within_a_bundle_is_whole_in_a_copy_and_in_an_export(
    bench: Bench, tmp_path: Path, take: Take, size: int
) -> None:
    bench.fill(size)
    take(bench, tmp_path / "out")
    check(bench, tmp_path / "out")


@pytest.mark.parametrize("take", [copy, export, archive])
def test_what_was_taken_before_the_last_entry_is_not_the_whole_log(bench: Bench, tmp_path: Path, take: Take) -> None:
    bench.fill(512)
    take(bench, tmp_path / "out")
    bench.fill(1, start=512)
    with pytest.raises(ArchiveError, match=r"ends with entry 511, and the log has 513 entries"):
        check(bench, tmp_path / "out")


def test_an_archive_of_whole_bundles_lacks_the_rest(bench: Bench, tmp_path: Path) -> None:
    bench.fill(300)
    archive(bench, tmp_path / "out")
    with pytest.raises(ArchiveError, match="ends with entry 255"):
        check(bench, tmp_path / "out")


@pytest.mark.parametrize("span", [(0, 298), (1, 299)])
def test_an_export_of_a_part_is_not_the_whole_log(bench: Bench, tmp_path: Path, span: tuple[int, int]) -> None:
    bench.fill(300)
    export_range(bench.directory, tmp_path / "out", first=span[0], last=span[1], vkeys=bench.vkeys)
    with pytest.raises(ArchiveError, match="ends with entry 298" if span[0] == 0 else "begins with entry 1"):
        check(bench, tmp_path / "out")


@pytest.mark.parametrize("first", [256, 512, 300])
def test_of_a_log_whose_beginning_was_pruned_an_export_of_what_is_left_is_whole(
    bench: Bench, tmp_path: Path, first: int
) -> None:
    bench.fill(700)
    export_range(bench.directory, tmp_path / "out", first=first, last=699, vkeys=bench.vkeys)
    check(bench, tmp_path / "out", gone=512) if first <= 512 else None
    with pytest.raises(ArchiveError, match=f"begins with entry {first}"):
        check(bench, tmp_path / "out", gone=first - 1)


@pytest.mark.parametrize("take", [copy, export, archive])
def test_another_sites_log_is_refused(bench: Bench, tmp_path: Path, take: Take) -> None:
    bench.fill(256)
    other = Bench(tmp_path / "other/log", origin="another.example/audit")
    other.fill(256)
    take(other, tmp_path / "out")
    with pytest.raises(NoteError, match=r"another\.example/audit"):
        check(bench, tmp_path / "out")


@pytest.mark.parametrize("take", [copy, export, archive])
@pytest.mark.parametrize("size", [256, 512])
def test_another_log_under_the_same_keys_is_refused(bench: Bench, tmp_path: Path, take: Take, size: int) -> None:
    """As a site that was restored twice would have; a longer one holds no more of this one."""
    bench.fill(256)
    twin = Bench(tmp_path / "twin/log", bench.keys)
    twin.fill(size, start=1000)
    take(twin, tmp_path / "out")
    with pytest.raises(ArchiveError, match="is of another log"):
        check(bench, tmp_path / "out")


def test_a_changed_entry_is_found_in_each(bench: Bench, tmp_path: Path) -> None:
    bench.fill(256)
    for name, take in (("copy", copy), ("export", export), ("archive", archive)):
        take(bench, tmp_path / name)
    for path in (tmp_path / "copy/tile/entries/000", tmp_path / "export/entries.jsonl"):
        path.write_bytes(path.read_bytes().replace(b"analysts", b"analystz", 1))
    volume = next((tmp_path / "archive").glob("*.vol"))
    volume.write_bytes(volume.read_bytes()[:-1] + b"!")
    with pytest.raises(LogTamperedError):
        check(bench, tmp_path / "copy")
    for name in ("export", "archive"):
        with pytest.raises(ArchiveError):
            check(bench, tmp_path / name)


@pytest.mark.parametrize(
    "proof",
    [
        {"first": 0, "last": 299, "hashes": ["AAAA"]},
        {"first": 1, "last": 299, "hashes": []},
        {"first": 0, "last": 300, "hashes": []},
        {"first": True, "last": 299, "hashes": []},
        {"first": 0, "last": 299, "hashes": ["*"]},
        {"first": 0, "last": 299, "hashes": ["\u00e4\u00f6\u00fc\u00df"]},
        {"first": 0, "last": 299, "hashes": [7]},
        {"first": 1, "last": 299, "hashes": ["AAAA"]},
        {"first": 0, "last": True, "hashes": []},
        {"first": 0, "last": 299},
        [],
    ],
)
def test_a_proof_that_says_something_else_is_refused(bench: Bench, tmp_path: Path, proof: object) -> None:
    bench.fill(300)
    export(bench, tmp_path / "out")
    (tmp_path / "out/proof.json").write_text(json.dumps(proof))
    with pytest.raises(ArchiveError):
        check(bench, tmp_path / "out")


@pytest.mark.parametrize("cut", [b"", b'{"never": "ended"', b"x" * 70_000])
def test_entries_that_are_cut_or_endless_are_refused(bench: Bench, tmp_path: Path, cut: bytes) -> None:
    bench.fill(3)
    export(bench, tmp_path / "out")
    path = tmp_path / "out/entries.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]) + cut)
    with pytest.raises(ArchiveError):
        check(bench, tmp_path / "out")


@pytest.mark.parametrize("further", [b"{}\n", b"\n" * (1 << 20)])
def test_entries_behind_the_last_that_is_signed_are_refused_and_not_read_on(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, further: bytes
) -> None:
    """However much follows: one line too many is known at its place."""
    bench.fill(3)
    export(bench, tmp_path / "out")
    hashed: list[bytes] = []
    monkeypatch.setattr(whole, "leaf_hash", lambda entry: hashed.append(entry) or leaf_hash(entry))
    with (tmp_path / "out/entries.jsonl").open("ab") as file:
        file.write(further)
    with pytest.raises(ArchiveError, match="entries follow that are not among the 3"):
        check(bench, tmp_path / "out")
    assert len(hashed) == 3


@pytest.mark.parametrize("name", ["entries.jsonl", "proof.json", "checkpoint"])
@pytest.mark.parametrize("kind", ["a fifo", "a device"])
def test_a_part_of_an_export_that_is_no_file_is_refused_and_not_waited_for(
    bench: Bench, tmp_path: Path, name: str, kind: str
) -> None:
    bench.fill(3)
    export(bench, tmp_path / "out")
    path = tmp_path / "out" / name
    path.unlink()
    if kind == "a fifo":
        os.mkfifo(path)
    else:
        endless(path)
    with pytest.raises(ArchiveError, match="is no regular file"):
        check(bench, tmp_path / "out")


def endless(path: Path) -> None:
    """As /dev/zero, where one may be made."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
        path.open("rb").close()
    except OSError:
        pytest.skip("no device can be made here")


def test_an_export_that_lacks_a_part_is_named(bench: Bench, tmp_path: Path) -> None:
    bench.fill(3)
    export(bench, tmp_path / "out")
    (tmp_path / "out/entries.jsonl").unlink()
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        check(bench, tmp_path / "out")


def test_a_folder_that_leads_back_by_links_holds_nothing(bench: Bench, tmp_path: Path) -> None:
    bench.fill(3)
    (tmp_path / "out").mkdir()
    for path in bench.directory.iterdir():
        (tmp_path / "out" / path.name).symlink_to(path)
    with pytest.raises(UsageError, match="is a link"):
        check(bench, tmp_path / "out")


@pytest.mark.parametrize("what", ["nothing", "a file", "an empty folder"])
def test_what_is_no_log_is_named(bench: Bench, tmp_path: Path, what: str) -> None:
    bench.fill(3)
    place = tmp_path / "out"
    if what == "a file":
        place.write_text("log")
    elif what == "an empty folder":
        place.mkdir()
    with pytest.raises(UsageError, match="there is no"):
        check(bench, place)
