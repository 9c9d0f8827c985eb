"""Follows a log that is rotated: how far it was read, and what of it was lost. Reads files, and keeps nothing itself.

A file is known by the digest of its whole first line: rotation changes its name, and the next file may get its inode.
Whoever calls the API chooses how a line begins, up to megabytes of it, but not the times at its end. Entries are named
by that line's own time and the offset of theirs, which no caller chooses either, unlike the number of a call
(`Audit-ID`). Whatever cannot be read as lines in a row is a `Gap`, never silence.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

LINE_BYTES = 8 << 20  # the API server takes addresses of 1 MiB, and JSON may spell a byte as six
PIECE_BYTES = 256 << 10
BATCH_BYTES = 4 << 20
TRIES = 20
_STAMP = re.compile(rb'"(?:stageTimestamp|time)":"([0-9TZ:.+-]{10,40})"')
_STAMP_BYTES = 64


@dataclass(frozen=True)
class Place:
    """Where reading goes on: behind ``offset`` bytes of the file whose first line has the digest ``first``."""

    first: str
    offset: int


@dataclass(frozen=True)
class Line:
    """A line without its end, and the name of its place."""

    at: str
    text: bytes


@dataclass(frozen=True)
class Gap:
    """Something that was not read: ``why``, at which place, and how many bytes where that is known (else 0).

    ``doubled`` is a file with the very first line of a newer one, which alone is read on: places in both would have the
    same names.
    """

    at: str
    why: str
    size: int = 0


@dataclass(frozen=True)
class Reading:
    """What was found, where the next reading goes on, and how many bytes it has before it."""

    found: tuple[Line | Gap, ...]
    place: Place | None
    behind: int


@dataclass(frozen=True)
class _File:
    """One of the files, opened; ``last`` is the one that is still written."""

    stream: BinaryIO
    size: int
    first: str
    name: str
    last: bool


def read(current: Path, place: Place | None, most: int) -> Reading:
    """Up to ``most`` lines and gaps from ``place`` on, some megabytes at once. Rotated files lie beside ``current``.

    Without a place reading begins with the oldest file, and says so. The unfinished line at the end of ``current``
    waits; of a file that was rotated it is a line. Raises ``OSError`` but for files that are not there.
    """
    files = _opened(current)
    try:
        return _read(files, place, most)
    finally:
        for file in files:
            file.stream.close()


def _read(files: list[_File], place: Place | None, most: int) -> Reading:
    newest = {file.first: file for file in files if file.first}
    known = list(newest.values())
    doubled = [Gap(f"{f.name}/0", "doubled", f.size) for f in files if f.first and newest[f.first] is not f]
    if not known:
        return Reading((Gap(f"{place.first[:16]}/{place.offset}", "gone"),) if place else (), None, 0)
    number, offset, begun = _beginning(known, place)
    found = [*doubled, *begun]
    while True:
        file = known[number]
        lines, offset = _lines(file, offset, most - len(found))
        found += lines
        if offset < file.size or _enough(found, most) or number + 1 == len(known):
            behind = file.size - offset + sum(later.size for later in known[number + 1 :])
            return Reading(tuple(found), Place(file.first, offset), behind)
        number, offset = number + 1, 0


def _beginning(known: list[_File], place: Place | None) -> tuple[int, int, list[Line | Gap]]:
    if place is None:
        return 0, 0, [Gap(f"{known[0].name}/0", "begun")]
    for number, file in enumerate(known):
        if file.first == place.first:
            if place.offset <= file.size:
                return number, place.offset, []
            lost = Gap(f"{file.name}/{place.offset}", "shortened", place.offset - file.size)
            return number, file.size, [lost]
    return 0, 0, [Gap(f"{known[0].name}/0", "gone")]


def _lines(file: _File, offset: int, most: int) -> tuple[list[Line | Gap], int]:
    """Up to ``most`` lines from ``offset`` on, and where they end."""
    found: list[Line | Gap] = []
    size = 0
    file.stream.seek(offset)
    while len(found) < most and size < BATCH_BYTES and offset < file.size:
        text = file.stream.readline(min(LINE_BYTES, file.size - offset))
        if not text.endswith(b"\n"):
            if len(text) == LINE_BYTES:
                end = _end_of_line(file, offset + len(text))
                if end is None:
                    break
                found.append(Gap(f"{file.name}/{offset}", "too long", end - offset))
                offset = end
                file.stream.seek(offset)
                continue
            if file.last:
                break
        found.append(Line(f"{file.name}/{offset}", text.rstrip(b"\n")))
        offset += len(text)
        size += len(text)
    return found, offset


def _enough(found: list[Line | Gap], most: int) -> bool:
    return len(found) >= most or sum(len(one.text) for one in found if isinstance(one, Line)) >= BATCH_BYTES


def _end_of_line(file: _File, offset: int) -> int | None:
    """Where the line ends that goes on at ``offset``; None: it is still written."""
    file.stream.seek(offset)
    while offset < file.size:
        piece = file.stream.readline(min(1 << 20, file.size - offset))
        offset += len(piece)
        if piece.endswith(b"\n"):
            return offset
    return None if file.last else file.size


def _opened(current: Path) -> list[_File]:
    """The files, oldest first. Names may change while they are opened; then they are opened anew."""
    for _ in range(TRIES):
        before = _listed(current)
        opened = [_open(path, last=path == current) for path, _ in before]
        if before == _listed(current) and None not in opened:
            return [file for file in opened if file]
        for file in opened:
            if file:
                file.stream.close()
    raise OSError(f"{current} is rotated faster than it can be read")


def _listed(current: Path) -> list[tuple[Path, int]]:
    """Paths with inodes: rotated files carry the time of their rotation in their names."""
    rotated = sorted(current.parent.glob(f"{current.stem}-*{current.suffix}"))
    found = []
    for path in [*rotated, current]:
        try:
            found.append((path, path.stat().st_ino))
        except FileNotFoundError:
            continue
    return found


def _open(path: Path, *, last: bool) -> _File | None:
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return None
    size = stream.seek(0, 2)
    stream.seek(0)
    first, name = _first_line(stream, size, last=last)
    return _File(stream, size, first, name, last)


def _first_line(stream: BinaryIO, size: int, *, last: bool) -> tuple[str, str]:
    """What a file is known by and what places in it are named by; both empty while its first line is not whole.

    The name is the last time in the line: a call's stands behind all that the caller says, where no quote is bare.
    """
    digest, stamp, before, piece, length = hashlib.sha256(), "", b"", b"", 0
    while length < size and not piece.endswith(b"\n"):
        piece = stream.readline(min(PIECE_BYTES, size - length))
        if not piece:
            break  # it was cut meanwhile
        length += len(piece)
        digest.update(piece)
        for found in _STAMP.finditer(before + piece):
            stamp = found[1].decode()
        before = (before + piece)[-_STAMP_BYTES:]
    if not length or (last and not piece.endswith(b"\n")):
        return "", ""
    first = digest.hexdigest()
    return first, stamp or first[:16]
