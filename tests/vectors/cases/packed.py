"""Sections 17 and 19: a sealed bundle in one file and what is not one, and a bundle that lacks what no store has."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from airgap_bundle.media.head_rules import MAX_HEAD_FILE, MAX_HEAD_FILES
from airgap_bundle.media.pack import pack
from airgap_bundle.media.packed_header import END, member_header
from tests.vectors.cases.desk import blob_with, case, flip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLOCK = 512


def _pack(folder: Path) -> Path:
    """Put the packed file in the place of the folder."""
    pack(folder / "bundle", folder / "packed")
    shutil.rmtree(folder / "bundle")
    return (folder / "packed").rename(folder / "bundle")


@case("packed", None, "packed", about="a whole release in one file", freshness="pass")
def packed(folder: Path) -> None:
    _pack(folder)


CHANGES: dict[str, tuple[str, str, Callable[[bytes], bytes]]] = {
    "packed-with-bytes-after-the-end": ("MalformedError", "medium", lambda data: data + b"\0"),
    "packed-cut-short": ("MalformedError", "medium", lambda data: data[: -3 * BLOCK]),
    "packed-without-its-end": ("MalformedError", "medium", lambda data: data[: -2 * BLOCK]),
}


for _name, (_error, _check, _change) in CHANGES.items():

    @case(_name, _error, "packed", check=_check, about=_name.replace("-", " "))
    def changed(folder: Path, change: Callable[[bytes], bytes] = _change) -> None:
        path = _pack(folder)
        path.write_bytes(change(path.read_bytes()))


@case(
    "packed-with-too-large-a-file-before-the-blobs",
    "MalformedError",
    "packed-head",
    check="medium",
    about="a packed file whose one member is longer than any before the blobs may be",
)
def too_large(folder: Path) -> None:
    size = MAX_HEAD_FILE + BLOCK
    _pack(folder).write_bytes(member_header("aaaa", size) + bytes(size) + END)


@case(
    "packed-with-too-many-files-before-the-blobs",
    "MalformedError",
    "packed-head",
    check="medium",
    about="a packed release with 1,025 empty files before its own",
)
def too_many(folder: Path) -> None:
    path = _pack(folder)
    more = b"".join(member_header(f"a{number:04}", 0) for number in range(MAX_HEAD_FILES + 1))
    path.write_bytes(more + path.read_bytes())


@case("packed-blob-flipped", "DigestMismatchError", "packed", check="blobs", about="one bit of a blob in a packed file")
def flipped(folder: Path) -> None:
    path = _pack(folder)
    flip(path, path.read_bytes().index(b"GGUF") + 100)


@case(
    "delta-without-a-store",
    "MissingFileError",
    "delta",
    check="file list",
    about="a bundle without one of its larger blobs, at a site whose store does not have it",
)
def delta(folder: Path) -> None:
    blob_with(folder / "bundle", b"GGUF").unlink()
