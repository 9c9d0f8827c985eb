"""What is passed off as a later state of a site's log, so that a restore erases, or forgets to erase: it is refused.

The attacker has the auditor's folder; in some cases also another site's keys, or this one's and an older state of the
log. Whatever is refused stays as it was, and names nobody.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from appliance.audit.errors import LaterLogError
from appliance.audit.keys import CheckpointKeys
from appliance.audit.later import read_later
from tests.audit.bench import Bench
from tests.audit.later import erasure, exported, grow, head_of, kept_copy
from tests.audit.later_acts import (
    BEGIN,
    MORE,
    SIZE,
    as_fifo,
    as_link,
    before,
    change,
    cut,
    flip,
    refused,
    stripped,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint

__all__ = ["before"]
BUNDLE, LAST = "tile/entries/001", f"tile/entries/002.p/{SIZE - 512}"


COPIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "another person named in the erasure": (change(BUNDLE, b"erased-one", b"erased-two"), "edited"),
    "an entry edited that was backed up": (change("tile/entries/000", b'"e7"', b'"f7"'), "edited"),
    "an entry made to look like an erasure that no JSON is": (
        change(BUNDLE, b'"analysts"', b'"person"}]'),
        "edited|inserted|cut",
    ),
    "an entry cut": (cut(LAST), "cut"),
    "the last entries gone": (without(LAST), "missing"),
    "a bundle gone": (without(BUNDLE), "missing"),
    "a hash changed": (flip("tile/0/000", 40), "rewritten"),
    "a hash changed above": (flip("tile/1/000.p/2", 1), "rewritten"),
    "a size that nobody signed": (change("checkpoint", b"\n600\n", b"\n601\n"), "signature"),
    "the Ed25519 half stripped": (stripped(0), "no Ed25519 signature"),
    "the post-quantum half stripped": (stripped(1), "no ML-DSA-44 signature"),
    "no checkpoint": (without("checkpoint"), "no checkpoint"),
    "half a checkpoint": (cut("checkpoint", 40), "FOLDER is refused: the note"),
    "a link in the checkpoint's place": (as_link("checkpoint"), "cannot be read"),
    "a link in a bundle's place": (as_link(BUNDLE), "cannot be read"),
    "a FIFO in a bundle's place": (as_fifo(BUNDLE), "no regular file"),
    "pruned by nobody's word": (
        lambda folder: (folder / "pruned").write_bytes(b'{"schema": 1, "end": 512, "entry": 599}'),
        "no entry of the log does",
    ),
}


@pytest.mark.parametrize("attack", COPIES)
def test_a_copy_that_is_not_wholly_what_was_signed_is_refused(
    bench: Bench, before: Checkpoint, tmp_path: Path, attack: str
) -> None:
    folder = kept_copy(bench, tmp_path / "copy")
    assert read_later(folder, vkeys=bench.vkeys, before=before).erased == {"erased-one"}
    act, why = COPIES[attack]
    act(folder)
    if "FIFO" in attack:
        with pytest.raises(LaterLogError, match=why):
            read_later(folder, vkeys=bench.vkeys, before=before)
        return
    refused(folder, bench, before, why)


def test_an_edit_with_every_tile_made_to_fit_is_not_what_was_signed(
    bench: Bench, before: Checkpoint, tmp_path: Path
) -> None:
    """The attacker rebuilds the whole tree around another erasure; the checkpoint alone they cannot sign."""
    forged = Bench(tmp_path / "forged", CheckpointKeys.generate(), bench.origin)
    grow(forged, BEGIN, "erased-two", more=MORE)
    shutil.copy(bench.directory / "checkpoint", forged.directory / "checkpoint")
    refused(kept_copy(forged, tmp_path / "copy"), bench, before, "do not hash to the root")


def both(bench: Bench, out: Path) -> list[Path]:
    return [kept_copy(bench, out / "copy"), exported(bench, out / "export", 0)]


def test_34_a_fork_is_no_later_state_though_the_sites_own_keys_signed_it(
    bench: Bench, before: Checkpoint, tmp_path: Path
) -> None:
    """Somebody put an older log back and went on from there: it names people whom this site's history does not."""
    fork = Bench(tmp_path / "fork", bench.keys, bench.origin)
    fork.fill(BEGIN - 1)
    fork.open().append([erasure("erased-two"), *fork.records(*range(1000, 1300))])
    fork.close()
    for folder in both(fork, tmp_path):
        refused(folder, bench, before, "it is forked: its first 300 entries are not those of the backup")


def test_a_longer_log_that_forks_behind_the_backup_is_none_to_go_on_with(
    bench: Bench, before: Checkpoint, tmp_path: Path
) -> None:
    """Both go on from the backup under the site's own keys; the one that was named first tells of an erasure."""
    begun = head_of(bench)
    fork = Bench(tmp_path / "fork", bench.keys, bench.origin)
    fork.fill(BEGIN)
    fork.open().append([erasure("erased-two"), *fork.records(*range(1000, 1000 + 2 * MORE))])
    fork.close()
    for folder in both(fork, tmp_path):
        assert read_later(folder, vkeys=bench.vkeys, before=before).erased == {"erased-two"}
        why = "it is forked: its first 600 entries are not those of the later log that was named before"
        refused(folder, bench, before, why, begun=begun)


def test_the_first_later_log_itself_and_what_goes_on_from_it_cover_it_and_what_is_shorter_does_not(
    bench: Bench, before: Checkpoint, tmp_path: Path
) -> None:
    shorter = both(bench, tmp_path / "shorter")
    bench.fill(7, start=5000)
    begun = head_of(bench)
    same = both(bench, tmp_path / "same")
    bench.fill(300, start=6000)
    longer = both(bench, tmp_path / "longer")
    for folders, covered in ((shorter, False), (same, True), (longer, True)):
        for folder in folders:
            found = read_later(folder, vkeys=bench.vkeys, before=before, begun=begun)
            assert found.covers(begun.size, begun.root) == covered
            assert not found.covers(begun.size, bytes(32))
            assert found.covers(found.head.size, found.head.root)


def test_35_a_fresh_log_under_the_same_keys_is_no_later_state(bench: Bench, before: Checkpoint, tmp_path: Path) -> None:
    fresh = Bench(tmp_path / "fresh", bench.keys, bench.origin)
    grow(fresh, 0, "erased-two", more=700)
    for folder in both(fresh, tmp_path):
        refused(folder, bench, before, "forked")


@pytest.mark.parametrize("size", [1, BEGIN - 1])
def test_33_an_older_state_is_refused_as_older(bench: Bench, before: Checkpoint, tmp_path: Path, size: int) -> None:
    older = Bench(tmp_path / "older", bench.keys, bench.origin)
    older.fill(size)
    for folder in both(older, tmp_path):
        refused(folder, bench, before, f"it is older than the backup: it has {size} entries, the backup 300")


def test_another_sites_log_is_refused_by_its_name_and_by_its_keys(
    bench: Bench, before: Checkpoint, tmp_path: Path
) -> None:
    named = Bench(tmp_path / "named", bench.keys, "other.example/audit")
    keyed = Bench(tmp_path / "keyed", CheckpointKeys.generate(), bench.origin)
    for other, why in ((named, "is of log 'other.example/audit'"), (keyed, "by a known key")):
        grow(other, BEGIN, "erased-two", more=MORE)
        for folder in both(other, tmp_path / other.directory.name / "kept"):
            refused(folder, bench, before, why)


def test_no_folder_a_file_and_an_empty_folder_are_no_log(bench: Bench, before: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"checkpoint")
    for name in ("empty", "file", "nowhere"):
        with pytest.raises(LaterLogError, match=r"there is no audit log|cannot be read"):
            read_later(tmp_path / name, vkeys=bench.vkeys, before=before)
