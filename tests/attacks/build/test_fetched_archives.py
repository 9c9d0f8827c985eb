"""What a package index may serve to a builder: archives that are two things at once, bombs, damaged members."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build import strict_zip
from airgap_bundle.build.jar import jar_coordinate
from airgap_bundle.build.strict_zip import open_zip
from airgap_bundle.build.wheel_metadata import glibc_needed, wheel_licence
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "x-1.dist-info/METADATA"


def zipped(body: bytes = b"License: MIT\n", method: int = zipfile.ZIP_DEFLATED, name: str = NAME) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(name, body)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("other"))
    return out.getvalue()


def commented(data: bytes) -> bytes:
    """A script in the archive's comment, where most readers never look."""
    script = b"#!/bin/sh\n"
    return data[:-2] + struct.pack("<H", len(script)) + script


TWO_THINGS: dict[str, Callable[[bytes], bytes]] = {
    "a tar before the zip": lambda data: tarred() + data,
    "a script before the zip": lambda data: b"#!/bin/sh\nexit 0\n" + data,
    "another zip before the zip": lambda data: zipped(b"License: Evil\n") + data,
    "a script in the comment": commented,
    "bytes after the end": lambda data: data + b"\0",
}


@pytest.mark.parametrize("change", TWO_THINGS.values(), ids=TWO_THINGS)
def test_17_a_file_that_is_two_things_at_once_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "x.whl"
    path.write_bytes(zipped())
    with open_zip(path, "x") as archive:
        assert wheel_licence(archive) == "MIT"
    path.write_bytes(change(zipped()))
    with pytest.raises(BuildError, match="more than a zip archive"), open_zip(path, "x"):
        pass


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_17_a_method_that_few_readers_know_is_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "x.whl"
    path.write_bytes(zipped(method=method))
    with pytest.raises(BuildError, match="neither stored nor deflated"), open_zip(path, "x"):
        pass
    assert jar_coordinate(path, "lib/core-1.0.jar") is None


def test_17_metadata_that_inflates_to_gigabytes_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.whl"
    path.write_bytes(zipped(b" " * 2_000_000))
    assert path.stat().st_size < 5000
    monkeypatch.setattr(strict_zip, "MAX_WHOLE", 1_000_000)
    with open_zip(path, "x") as archive, pytest.raises(BuildError, match="at most 1000000 are read"):
        wheel_licence(archive)


def test_17_a_library_of_any_size_is_searched_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are cut by the borders of pieces at every place there is."""
    monkeypatch.setattr(strict_zip, "CHUNK", 7)
    path = tmp_path / "x.whl"
    path.write_bytes(zipped(b"".join(b"\0" * pad + b"GLIBC_2.36\0" for pad in range(8)), name="x/a.so"))
    with open_zip(path, "x") as archive:
        assert glibc_needed(archive) == "2.36"


@pytest.mark.parametrize("at", range(30, 60))
def test_1_a_flipped_byte_in_a_compressed_member_is_told_as_damage(tmp_path: Path, at: int) -> None:
    data = bytearray(zipped(b"".join(f"Line {number}\n".encode() for number in range(200))))
    data[at] ^= 0x55
    path = tmp_path / "x.whl"
    path.write_bytes(data)
    with pytest.raises(BuildError), open_zip(path, "x") as archive:
        archive.read(NAME)
