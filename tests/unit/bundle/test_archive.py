from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.archive import Entry, Limits, extract, write_tar
from airgap_bundle.errors import FormatError, UnsafeNameError

if TYPE_CHECKING:
    from pathlib import Path

LONG = "lib/lib/main/" + "org.eclipse.microprofile.reactive-streams-operators." * 2 + "api-3.0.1.jar"


def tar_of(*entries: Entry) -> bytes:
    out = io.BytesIO()
    assert write_tar(out, entries) == len(out.getvalue())
    return out.getvalue()


ENTRIES = [
    Entry("bin/run.sh", b"#!/bin/sh\n", executable=True),
    Entry("bin/data", b"x" * 513),
    Entry("empty", None),
    Entry("none", b""),
    Entry(LONG, b"jar"),
    Entry("deep/" * 20 + "é.txt", b"accent"),
]


def test_equal_entries_in_any_order_give_equal_bytes() -> None:
    assert tar_of(*ENTRIES) == tar_of(*reversed(ENTRIES))


def test_what_is_written_is_extracted_with_its_executable_bits(tmp_path: Path) -> None:
    assert extract(io.BytesIO(tar_of(*ENTRIES)), tmp_path / "out") == len(ENTRIES)
    for entry in ENTRIES:
        path = tmp_path / "out" / entry.path
        if entry.content is None:
            assert path.is_dir()
            continue
        assert path.read_bytes() == entry.content
        assert bool(path.stat().st_mode & 0o100) == entry.executable


def test_files_are_streamed_from_disk_and_spelled_as_bytes_are(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")
    assert tar_of(Entry("a", tmp_path / "source")) == tar_of(Entry("a", b"content"))


def test_a_stock_tar_lists_and_extracts_it(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of(*ENTRIES))
    subprocess.run(["tar", "-xf", tmp_path / "a.tar", "-C", tmp_path], check=True)
    assert (tmp_path / LONG).read_bytes() == b"jar"
    with tarfile.open(tmp_path / "a.tar") as found:
        assert {member.name for member in found} == {entry.path for entry in ENTRIES}
        assert {(member.mtime, member.uid, member.uname) for member in found} == {(0, 0, "")}


@pytest.mark.parametrize("path", ["../up", "/abs", "a//b", "a/./b", "nul\0", "CON", "a\\b", ""])
def test_writing_refuses_names_that_could_not_be_extracted(path: str) -> None:
    with pytest.raises(UnsafeNameError):
        tar_of(Entry(path, b""))


def test_writing_refuses_names_that_collide() -> None:
    with pytest.raises(UnsafeNameError, match="one file"):
        tar_of(Entry("README", b""), Entry("readme", b""))


def test_extraction_needs_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"")
    with pytest.raises(FormatError, match="not empty"):
        extract(io.BytesIO(tar_of()), tmp_path)


@pytest.mark.parametrize("limits", [Limits(members=2), Limits(total_bytes=100)])
def test_caps_on_count_and_total_are_kept(tmp_path: Path, limits: Limits) -> None:
    with pytest.raises(FormatError, match="exceeds"):
        extract(io.BytesIO(tar_of(*ENTRIES)), tmp_path / "out", limits)


def test_a_file_used_as_a_folder_is_refused(tmp_path: Path) -> None:
    data = tar_of(Entry("a", b""))[:-1024] + tar_of(Entry("a/b", b""))
    with pytest.raises(FormatError, match="both as a file and as a directory"):
        extract(io.BytesIO(data), tmp_path / "out")


@pytest.mark.parametrize("cut", [1, 511, 512, 1024, 1500])
def test_a_cut_archive_is_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(FormatError):
        extract(io.BytesIO(tar_of(*ENTRIES)[:-cut]), tmp_path / "out")
