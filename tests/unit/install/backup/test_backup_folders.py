"""A backup's folder: whole or absent, every byte the site's, and only together with subject keys that fit."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from airgap_bundle import keys
from airgap_bundle.errors import BundleError, UnlistedFileError, VerificationError
from appliance.errors import RefusedError, UsageError
from appliance.install.backup.apart import places, replaced
from appliance.install.backup.folder import new_folder, open_folder, seal_file
from appliance.install.backup.restoring import open_pair
from appliance.install.backup.statement import BACKUP_TYPE, LOG, PARTS, SEALED, STATEMENT, SUBJECT_KEYS_TYPE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.install.backup.conftest import Written


def quiet(_done: int, _total: int) -> None:
    return


def test_a_folder_opens_with_the_sites_key_and_tells_how_far_it_is(written: Written) -> None:
    folder, heard = written.folder("one", BACKUP_TYPE), []
    backup = open_folder(folder, BACKUP_TYPE, [written.signer.public], lambda done, total: heard.append((done, total)))
    with backup.open(LOG, written.key) as content:
        assert content.read() == LOG.encode()
    total = sum((folder / f"{part}{SEALED}").stat().st_size for part in PARTS)
    assert heard[-1] == (total, total)


@pytest.mark.parametrize("part", PARTS)
def test_a_changed_a_missing_and_a_linked_file_are_refused(written: Written, part: str) -> None:
    folder = written.folder("one", BACKUP_TYPE)
    file, whole = folder / f"{part}{SEALED}", (folder / f"{part}{SEALED}").read_bytes()
    for spoil in (
        lambda: file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1])),
        lambda: file.write_bytes(whole[:-1]),
        file.unlink,
        lambda: file.symlink_to("/dev/zero"),
    ):
        spoil()
        with pytest.raises(BundleError):
            open_folder(folder, BACKUP_TYPE, [written.signer.public], quiet)


def test_what_the_statement_does_not_list_is_refused(written: Written) -> None:
    folder = written.folder("one", BACKUP_TYPE)
    (folder / "more.sealed").write_bytes(b"")
    with pytest.raises(UnlistedFileError):
        open_folder(folder, BACKUP_TYPE, [written.signer.public], quiet)


def test_another_key_another_kind_and_another_sites_name_are_refused(written: Written) -> None:
    folder = written.folder("one", BACKUP_TYPE)
    with pytest.raises(VerificationError):
        open_folder(folder, BACKUP_TYPE, [keys.generate("ministry").public], quiet)
    with pytest.raises(VerificationError):
        open_folder(folder, SUBJECT_KEYS_TYPE, [written.signer.public], quiet)
    with pytest.raises(VerificationError, match="signed by ministry"):
        open_folder(written.folder("two", BACKUP_TYPE, site="other"), BACKUP_TYPE, [written.signer.public], quiet)
    (folder / STATEMENT).write_bytes(b"{}")
    with pytest.raises(VerificationError):
        open_folder(folder, BACKUP_TYPE, [written.signer.public], quiet)


def test_no_folder_and_an_empty_one_are_no_backup(written: Written, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="no backup"):
            open_folder(folder, BACKUP_TYPE, [written.signer.public], quiet)


def test_subject_keys_of_a_later_backup_fit_and_older_ones_do_not(written: Written) -> None:
    main, trusted = written.folder("main", BACKUP_TYPE), [written.signer.public]
    later = written.folder("later", SUBJECT_KEYS_TYPE, size=8)
    assert open_pair(main, later, trusted, quiet).subject_keys.folder == later
    older = written.folder("older", SUBJECT_KEYS_TYPE, size=6)
    with pytest.raises(RefusedError, match="older than the backup"):
        open_pair(main, older, trusted, quiet)
    pruned = written.folder("pruned", SUBJECT_KEYS_TYPE, size=900, pruned=256)
    with pytest.raises(RefusedError, match="not known any more"):
        open_pair(main, pruned, trusted, quiet)


def test_a_folder_that_fails_is_absent_and_one_that_is_there_is_kept(tmp_path: Path) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "backup") as folder:
            (folder / "half").write_bytes(b"x")
            raise RefusedError("no")

    with pytest.raises(RefusedError):
        fail()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "backup").mkdir()
    with pytest.raises(UsageError, match="exists"), new_folder(tmp_path / "backup"):
        raise AssertionError


def test_new_subject_keys_replace_the_old_ones_after_success_only(written: Written) -> None:
    folder = written.folder("keys", SUBJECT_KEYS_TYPE)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail() -> None:
        with replaced(folder) as fresh:
            (fresh / STATEMENT).write_bytes(b"new")
            raise RefusedError("no")

    with pytest.raises(RefusedError):
        fail()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with replaced(folder) as fresh:
        (fresh / STATEMENT).write_bytes(b"new")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {STATEMENT: b"new"}
    assert sorted(path.name for path in folder.parent.iterdir() if path.name.startswith("keys")) == ["keys"]


def test_a_power_cut_between_the_renames_loses_no_subject_keys(written: Written) -> None:
    folder = written.folder("keys", SUBJECT_KEYS_TYPE)
    folder.rename(folder.with_name("keys.former"))
    shutil.copytree(folder.with_name("keys.former"), folder.with_name("keys.new"))

    def fail() -> None:
        with replaced(folder):
            raise RefusedError("no")

    with pytest.raises(RefusedError):
        fail()
    assert (folder / STATEMENT).is_file()


def test_a_folder_with_anything_else_in_it_is_not_taken_for_subject_keys(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="something else"), replaced(tmp_path / "photos"):
        raise AssertionError
    assert (tmp_path / "photos" / "one.jpg").read_bytes() == b"x"


def test_what_strangers_call_by_the_names_of_our_steps_is_kept(written: Written) -> None:
    folder = written.folder("keys", SUBJECT_KEYS_TYPE)
    for name in ("keys.new", "keys.former"):
        (folder.parent / name).mkdir()
        (folder.parent / name / "thesis.odt").write_bytes(b"mine")
        with pytest.raises(UsageError, match="something else"), replaced(folder):
            raise AssertionError
        assert (folder.parent / name / "thesis.odt").read_bytes() == b"mine"
        shutil.rmtree(folder.parent / name)


@pytest.mark.parametrize(
    ("out", "keys_folder"), [("a", "a"), ("a", "a/keys"), ("a/backup", "a"), ("/", "a"), ("/proc", "a"), ("a", "/proc")]
)
def test_places_that_cannot_hold_a_backup_are_refused_at_once(
    written: Written, tmp_path: Path, out: str, keys_folder: str
) -> None:
    with pytest.raises(UsageError):
        places(tmp_path / out, tmp_path / keys_folder, [written.key.recipient])


def test_a_file_that_is_exchanged_after_it_was_checked_does_not_open(written: Written) -> None:
    """Anybody can seal to the public half: only what the site signed is taken, also when it is opened hours later."""
    folder = written.folder("one", BACKUP_TYPE)
    backup = open_folder(folder, BACKUP_TYPE, [written.signer.public], quiet)
    (folder / f"{LOG}{SEALED}").unlink()
    seal_file(folder, LOG, [written.key.recipient], lambda sink: sink.write(b"an attacker's log"))
    with pytest.raises(RefusedError, match="another key"), backup.open(LOG, written.key):
        raise AssertionError
