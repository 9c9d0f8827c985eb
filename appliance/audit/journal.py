"""The journal: batches that are signed and durable before their tiles are, so that a commit waits for one write only.

Two segments of fixed size, filled in turn and written in place, so that the file system has nothing to note but the
bytes: a batch is one durable write (``segment``). While one segment's batches are put into tiles, the other takes what
comes; then the first is free again. A batch is a record: magic, position of its first entry, how many there are, length
of the entries and of the note (big-endian), the entries as in a bundle, and the checkpoint over all of them. The
checkpoint lies masked by a hash of the entries: what the disk got of a batch that it got in part is no signature of
anything. What a record must be to count is for ``replay`` to say; here bytes are laid out and found again.
"""

from __future__ import annotations

import hashlib
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit.regular_file import read_regular
from appliance.audit.segment import Segment
from appliance.audit.tiles import decode_entries, encode_entries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

JOURNAL = "journal"
SEGMENT_BYTES = 8 << 20
SEGMENTS = 2
_HEAD = struct.Struct(">4sQIII")
_MAGIC = b"SAJ1"


@dataclass(frozen=True)
class Batch:
    """A record as it was found: ``entries`` are fewer than ``count``, or ``note`` no note, when it is not whole."""

    first: int
    count: int
    entries: tuple[bytes, ...]
    note: bytes

    @property
    def end(self) -> int:
        """The position after its last entry."""
        return self.first + self.count


def encode_batch(first: int, entries: Sequence[bytes], note: bytes) -> bytes:
    """A record."""
    payload = encode_entries(entries)
    head = _HEAD.pack(_MAGIC, first, len(entries), len(payload), len(note))
    return head + payload + _masked(head + payload, note)


def decode_batches(data: bytes) -> list[Batch]:
    """The records at the beginning of a segment, up to the first bytes that begin none."""
    found: list[Batch] = []
    start = 0
    while start + _HEAD.size <= len(data):
        magic, first, count, length, noted = _HEAD.unpack_from(data, start)
        body = start + _HEAD.size
        end = body + length + noted
        if magic != _MAGIC or end > len(data):
            break
        entries, used = decode_entries(data[body : body + length], count)
        note = _masked(data[start : body + length], data[body + length : end])
        found.append(Batch(first, count, tuple(entries) if used == length else (), note))
        start = end
    return found


def read_segments(directory: Path) -> list[bytes]:
    """The segments of the journal of the log in ``directory`` as they lie there; none where there is no journal.

    Raises ``OSError``, and ``LogInconsistentError`` for what is no journal's file.
    """
    found: list[bytes] = []
    for name in range(SEGMENTS):
        with suppress(FileNotFoundError):
            found.append(read_regular(directory / JOURNAL / str(name), SEGMENT_BYTES))
    return found


def decode_journal(segments: Sequence[bytes]) -> list[Batch]:
    """Every record in ``segments``, by position; also those that are in tiles already."""
    return sorted((batch for data in segments for batch in decode_batches(data)), key=lambda batch: batch.first)


class Journal:
    """The journal of the log in ``directory``, for its one writer. Everything raises ``OSError`` unchanged."""

    def __init__(self, directory: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = directory / JOURNAL
        self._size = segment_bytes
        self._segments: list[Segment] = []
        self._current = 0

    @property
    def filling(self) -> float:
        """How full the current segment is, from 0 to 1."""
        return self._used / self._size

    def has_room(self, size: int) -> bool:
        """Whether a record of ``size`` bytes fits into the current segment."""
        return self._used + size <= self._size

    def write(self, record: bytes) -> None:
        """Append ``record``, which must fit; durable on return. After an error only the disk knows what is there."""
        if len(self._segments) < SEGMENTS:
            self.clear()
        self._segments[self._current].write(record)

    def turn(self) -> int | None:
        """Go on in the other segment and say which one was left; None when the other is still in use."""
        left, other = self._current, (self._current + 1) % SEGMENTS
        if len(self._segments) == SEGMENTS and self._segments[other].used:
            return None
        self._current = other
        return left

    def free(self, segment: int) -> None:
        """Every batch of ``segment`` is in tiles under a durable checkpoint: it may be written over."""
        if self._segments:
            self._segments[segment].free()

    def clear(self) -> None:
        """Make both segments anew, all zeros, durably: nothing in them counts any more. Takes its space at once."""
        self._folder.mkdir(mode=0o750, exist_ok=True)
        while len(self._segments) < SEGMENTS:
            self._segments.append(Segment(self._folder / str(len(self._segments))))
        for segment in self._segments:
            segment.clear(self._size)
        for folder in (self._folder, self._folder.parent):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._current = 0

    def close(self) -> None:
        """Let go of the files; the next write makes the segments anew."""
        while self._segments:
            self._segments.pop().close()
        self._current = 0

    @property
    def _used(self) -> int:
        return self._segments[self._current].used if self._segments else 0


def _masked(entries: bytes, note: bytes) -> bytes:
    """``note`` under a mask that only the whole of ``entries`` gives; the same again takes it off."""
    mask = hashlib.shake_256(hashlib.sha256(entries).digest()).digest(len(note))
    return (int.from_bytes(note, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(note), "big")
