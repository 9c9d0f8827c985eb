"""What is appended to a segment lies there byte for byte, whatever its lengths, and is written in whole blocks."""

from __future__ import annotations

import errno
import fcntl
import os
import random
from typing import TYPE_CHECKING

import pytest

from appliance.audit import segment
from appliance.audit.segment import BLOCK, Segment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 64 * BLOCK


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Segment]:
    made = Segment(tmp_path / "0")
    made.clear(SIZE)
    yield made
    made.close()


@pytest.mark.parametrize(
    "lengths",
    [[1, BLOCK - 1, 1], [BLOCK], [BLOCK - 1, 2, 3 * BLOCK], [5 * BLOCK + 7, 1], [100] * 90, [20 * BLOCK + 1, 9]],
    ids=["to the block's end", "a block", "over its end", "many", "small ones", "more than at once"],
)
def test_pieces_lie_one_behind_the_other(
    file: Segment, tmp_path: Path, lengths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment, "_AT_ONCE", 8 * BLOCK)
    pieces = [random.Random(number).randbytes(length) for number, length in enumerate(lengths)]
    for piece in pieces:
        file.write(piece)
        assert (tmp_path / "0").read_bytes()[: file.used].endswith(piece)
    whole = b"".join(pieces)
    assert file.used == len(whole)
    assert (tmp_path / "0").read_bytes() == whole.ljust(SIZE, b"\0")


def test_a_segment_that_is_free_is_filled_from_its_beginning(file: Segment, tmp_path: Path) -> None:
    file.write(b"a" * (2 * BLOCK + 5))
    file.free()
    file.write(b"b" * 10)
    found = (tmp_path / "0").read_bytes()
    assert found[:BLOCK] == b"b" * 10 + bytes(BLOCK - 10), "what lay in its block is no part of it"
    assert found[BLOCK : 2 * BLOCK] == b"a" * BLOCK
    file.write(b"c" * 5)
    assert (tmp_path / "0").read_bytes()[:15] == b"b" * 10 + b"c" * 5


def test_only_whole_blocks_are_written_and_what_lay_in_the_first_stays(
    file: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a block that reached the disk, or did not, has what was acknowledged in it either way."""
    file.write(b"a" * 100)
    written: list[tuple[bytes, int]] = []
    whole = os.pwrite

    def pwrite(number: int, data: memoryview, at: int) -> int:
        written.append((bytes(data), at))
        return whole(number, data, at)

    monkeypatch.setattr(os, "pwrite", pwrite)
    file.write(b"b" * BLOCK)
    ((data, at),) = written
    assert (at, len(data)) == (0, 2 * BLOCK)
    assert data.rstrip(b"\0") == b"a" * 100 + b"b" * BLOCK


def test_a_disk_that_takes_less_at_once_is_given_the_rest(
    file: Segment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda number, data, at: whole(number, data[:BLOCK], at))
    piece = random.Random(7).randbytes(3 * BLOCK + 11)
    file.write(piece)
    assert (tmp_path / "0").read_bytes()[: len(piece)] == piece


@pytest.mark.parametrize("place", ["open", "pwrite"])
def test_where_there_is_no_direct_way_to_the_disk_it_is_as_durable_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    opening, writing = os.open, os.pwrite

    def refuse() -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def opened(path: Path, flags: int, mode: int) -> int:
        if place == "open" and flags & os.O_DIRECT:
            refuse()
        return opening(path, flags, mode)

    def pwrite(number: int, data: memoryview, at: int) -> int:
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_DIRECT:
            refuse()
        return writing(number, data, at)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "pwrite", pwrite)
    made = Segment(tmp_path / "0")
    made.clear(SIZE)
    made.write(b"entry")
    assert fcntl.fcntl(made._file, fcntl.F_GETFL) & os.O_DSYNC
    assert (tmp_path / "0").read_bytes()[:5] == b"entry"
    made.close()
