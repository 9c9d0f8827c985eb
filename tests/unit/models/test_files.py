from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.digest import sha256
from appliance.models.errors import FileChangedError, FileDigestError, FileSizeError, ModelFileError
from appliance.models.files import checked, open_checked

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"weights" * 1000


def _file(folder: Path) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(DATA)
    return path


def test_the_descriptor_is_of_the_hashed_file_and_read_only(tmp_path: Path) -> None:
    with checked(_file(tmp_path), size=len(DATA), sha256=sha256(DATA).hex) as fd:
        assert os.pread(fd, len(DATA) + 1, 0) == DATA
        with pytest.raises(OSError, match="descriptor"):
            os.write(fd, b"x")


def test_progress_ends_at_the_whole_size(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    os.close(
        open_checked(
            _file(tmp_path),
            size=len(DATA),
            sha256=sha256(DATA).hex,
            progress=lambda done, total: seen.append((done, total)),
        )
    )
    assert seen[-1] == (len(DATA), len(DATA))


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    _file(tmp_path)
    (tmp_path / "link").symlink_to("model.gguf")
    with pytest.raises(ModelFileError, match="cannot be opened"):
        open_checked(tmp_path / "link", size=len(DATA), sha256=sha256(DATA).hex)


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="regular"):
        open_checked(tmp_path / "pipe", size=0, sha256=sha256(b"").hex)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="regular"):
        open_checked(tmp_path, size=0, sha256=sha256(b"").hex)


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = _file(tmp_path)
    path.chmod(mode)
    with pytest.raises(ModelFileError, match="written by others"):
        open_checked(path, size=len(DATA), sha256=sha256(DATA).hex)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path)
    os.chown(path, 65534, 65534)
    with pytest.raises(ModelFileError, match="written by others"):
        open_checked(path, size=len(DATA), sha256=sha256(DATA).hex)


def test_another_size_or_digest_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path)
    with pytest.raises(FileSizeError):
        open_checked(path, size=len(DATA) - 1, sha256=sha256(DATA).hex)
    with pytest.raises(FileDigestError):
        open_checked(path, size=len(DATA), sha256="0" * 64)


def test_a_write_while_the_file_is_read_is_seen_though_size_and_mtime_are_put_back(tmp_path: Path) -> None:
    path = _file(tmp_path)
    before = path.stat()

    def write_behind(_done: int, _total: int) -> None:
        with path.open("r+b") as file:
            file.write(b"W")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(FileChangedError):
        open_checked(path, size=len(DATA), sha256=sha256(DATA).hex, progress=write_behind)
