from __future__ import annotations

import errno
import io
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airgap_bundle import durable
from airgap_bundle.errors import StoreError
from airgap_bundle.media.pack import pack
from airgap_bundle.media.unpack import unpack
from tests.bundles import NOW, trust

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def packed(bundle: Path, tmp_path: Path) -> Path:
    pack(bundle, tmp_path / "bundle.pack")
    return tmp_path / "bundle.pack"


class PulledMedium(io.BytesIO):
    """A file on a medium that is pulled after ``bytes_left`` bytes; it counts what was read."""

    def __init__(self, data: bytes, bytes_left: int = 1 << 40) -> None:
        super().__init__(data)
        self._left = bytes_left
        self.bytes_read = 0

    def read(self, count: int | None = -1) -> bytes:
        data = super().read(count)
        self.bytes_read += len(data)
        if self.bytes_read > self._left:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return data


def test_a_pulled_medium_leaves_what_was_good_and_the_next_run_does_not_read_it_again(
    packed: Path, tmp_path: Path
) -> None:
    data = packed.read_bytes()
    with pytest.raises(StoreError, match="Input/output error"):
        unpack(PulledMedium(data, len(data) - 600), tmp_path / "out", trust(), now=NOW)
    assert (tmp_path / f"out{durable.PARTIAL}").is_dir()
    second = PulledMedium(data)
    unpack(second, tmp_path / "out", trust(), now=NOW)
    assert second.bytes_read < len(data) // 2
    assert not (tmp_path / f"out{durable.PARTIAL}").exists()


def test_what_an_interrupted_run_left_is_hashed_before_it_is_used(packed: Path, bundle: Path, tmp_path: Path) -> None:
    data = packed.read_bytes()
    with pytest.raises(StoreError):
        unpack(PulledMedium(data, len(data) - 600), tmp_path / "out", trust(), now=NOW)
    left = max((tmp_path / f"out{durable.PARTIAL}/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    left.write_bytes(bytes(left.stat().st_size))
    (left.parent / ("0" * 64)).write_bytes(b"planted")
    unpack(io.BytesIO(data), tmp_path / "out", trust(), now=NOW)
    blobs = tmp_path / "out/blobs/sha256"
    assert {path.name for path in blobs.iterdir()} == {path.name for path in (bundle / "blobs/sha256").iterdir()}
    assert (blobs / left.name).read_bytes() == (bundle / "blobs/sha256" / left.name).read_bytes()


def test_a_folder_that_others_may_write_is_not_taken_over(packed: Path, tmp_path: Path) -> None:
    partial = tmp_path / f"out{durable.PARTIAL}"
    partial.mkdir()
    partial.chmod(0o777)
    with pytest.raises(StoreError, match="not left by an unpacking of yours"):
        unpack(io.BytesIO(packed.read_bytes()), tmp_path / "out", trust(), now=NOW)
    assert not any(partial.iterdir())


def test_an_old_bundle_may_be_unpacked_and_its_age_is_reported(packed: Path, tmp_path: Path) -> None:
    done = unpack(io.BytesIO(packed.read_bytes()), tmp_path / "out", trust(), now=NOW + timedelta(days=3000))
    assert done.report.freshness is not None
    assert done.report.freshness.status == "fail"
