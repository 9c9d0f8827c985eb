"""Whoever may write in a folder changes it while the operator's process reads it: nothing from elsewhere is read."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import pytest

from appliance.cli.document_files import MAX_DEPTH, below, gather, opened
from appliance.errors import UsageError
from appliance.memory.holding import held
from appliance.memory.parsing.launch import Bounds
from tests.memory.parsed import descriptors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A declared folder with a file in a folder of its own; beside it what only the operator may read."""
    inner = tmp_path / "declared" / "sub"
    inner.mkdir(parents=True)
    (inner / "notes.txt").write_text("harmless")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "notes.txt").write_text("secret")
    return tmp_path / "declared"


def test_a_folder_that_became_a_link_after_it_was_listed_is_not_followed(folder: Path) -> None:
    before = descriptors()
    (file,) = below(folder, folder).files
    (folder / "sub").rename(folder / ".old")
    (folder / "sub").symlink_to(folder.parent / "private")
    assert (folder / "sub" / "notes.txt").read_text() == "secret"  # whoever follows names is led there
    with pytest.raises(UsageError, match="links are not followed"), opened(file):
        pass
    assert descriptors() == before


def test_a_file_that_became_a_link_or_a_pipe_is_neither_followed_nor_waited_for(folder: Path) -> None:
    (file,) = below(folder, folder).files
    place = folder / "sub" / "notes.txt"
    place.unlink()
    place.symlink_to(folder.parent / "private" / "notes.txt")
    with pytest.raises(UsageError, match="links are not followed"), opened(file):
        pass
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(UsageError, match="not a regular file"), opened(file):
        pass


def test_a_declared_folder_that_is_a_link_or_lies_behind_one_is_refused(folder: Path) -> None:
    for link, target in ((folder.parent / "link", folder), (folder.parent / "way", folder.parent)):
        link.symlink_to(target)
    for place in (folder.parent / "link", folder.parent / "way" / "declared"):
        with pytest.raises(UsageError, match="links are not followed"):
            below(place, place)
    (file,) = gather([folder.parent / "link"]).files  # the operator's own word, followed once
    with opened(file) as descriptor:
        assert os.read(descriptor, 99) == b"harmless"


def test_links_in_a_folder_lead_nowhere_and_depth_ends(folder: Path) -> None:
    (folder / "out").symlink_to(folder.parent / "private")
    (folder / "one.txt").symlink_to(folder.parent / "private" / "notes.txt")
    deep = folder.joinpath(*["d"] * (MAX_DEPTH + 2))
    deep.mkdir(parents=True)
    (deep / "deep.txt").write_text("x")
    found = below(folder, folder)
    assert [file.path.name for file in found.files] == ["notes.txt"]
    assert found.passed_over == 3


def test_a_folder_that_cannot_be_read_whole_is_no_folder_with_fewer_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.scandir

    def failing(at: int) -> object:
        if Path(f"/proc/self/fd/{at}").readlink().name == "sub":
            raise OSError(5, "Input/output error")
        return plain(at)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(UsageError, match=r"declared/sub: input/output error"):
        below(folder, folder)


def test_names_that_are_no_text_are_told_apart(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/b\xff.txt")).write_text("x")
    found = below(folder, folder)
    assert [file.path.name for file in found.files] == ["notes.txt"]
    assert [os.fsencode(path.name) for path in found.unnamed] == [b"b\xff.txt"]


def test_what_is_digested_is_what_is_read_whatever_becomes_of_the_file() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"first words")
        file.flush()
        with held(file.fileno()) as copy:
            file.seek(0)
            file.write(b"other words, and more")
            file.flush()
            said = os.pread(copy.descriptor, 99, 0)
            assert (said, copy.whole) == (b"first words", True)
            assert copy.digest == "sha256:" + hashlib.sha256(said).hexdigest()
            for change in (lambda: os.pwrite(copy.descriptor, b"x", 0), lambda: os.ftruncate(copy.descriptor, 1)):
                with pytest.raises(PermissionError):
                    change()


def test_a_file_that_grows_while_it_is_copied_is_kept_by_its_head_only(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = os.fstat
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 100_000)
        file.flush()
        small = os.stat_result((*plain(file.fileno())[:6], 10, *plain(file.fileno())[7:]))
        monkeypatch.setattr(os, "fstat", lambda _: small)  # it was small when it was looked at
        with held(file.fileno(), Bounds(file_bytes=50_000)) as copy:
            assert not copy.whole
            assert len(os.pread(copy.descriptor, 1 << 20, 0)) == 4096
