"""Fetched zip archives: regular files and directories by safe names, or nothing."""

from __future__ import annotations

import warnings
import zipfile
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.strict_zip import open_zip
from airgap_bundle.errors import BuildError
from tests.unit.build.synthetic_release import write_zip

if TYPE_CHECKING:
    from pathlib import Path


def test_files_and_directories_are_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"top/": b"", "top/run.sh": b"#!", "top/data": b"x"}, {"top/run.sh": 0o100755})
    with open_zip(path, "a") as archive:
        assert archive.read("top/run.sh") == b"#!"
        assert archive.members["top"].directory
        assert archive.members["top/run.sh"].executable
        assert not archive.members["top/data"].executable


@pytest.mark.parametrize(
    "name", ["../up", "/etc/passwd", "a/../../b", "a\\b", "c:/x", "nul", "a//b", "trailing. ", "bidi\u202ename"]
)
def test_a_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "a.zip", {name: b"x"})
    with pytest.raises(BuildError, match="unsafe"), open_zip(path, "a"):
        pass


@pytest.mark.parametrize("mode", [0o120777, 0o020600, 0o010600, 0o040755])
def test_links_devices_pipes_and_false_directories_are_refused(tmp_path: Path, mode: int) -> None:
    path = write_zip(tmp_path / "a.zip", {"link": b"/etc/passwd"}, {"link": mode})
    with pytest.raises(BuildError, match="neither a regular file nor a directory"), open_zip(path, "a"):
        pass


def test_a_setuid_member_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"su": b"x"}, {"su": 0o104755})
    with pytest.raises(BuildError, match="setuid"), open_zip(path, "a"):
        pass


def test_names_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"README": b"1", "readme": b"2"})
    with pytest.raises(BuildError, match="one file on some file system"), open_zip(path, "a"):
        pass


def test_a_member_named_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("same", b"1")
        archive.writestr("same", b"2")
    with pytest.raises(BuildError, match=r"twice|one file"), open_zip(path, "a"):
        pass


def test_damaged_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("file", b"content that is stored as it is")
    data = path.read_bytes().replace(b"stored as", b"st0red as")
    path.write_bytes(data)
    with open_zip(path, "a") as archive, pytest.raises(BuildError, match="CRC"):
        archive.read("file")


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"nonsense")
    with pytest.raises(BuildError, match="no zip archive"), open_zip(tmp_path / "a.zip", "a"):
        pass
