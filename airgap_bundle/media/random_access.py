"""Bytes that are read at any offset, from several threads: one file, or the parts of a split set one after another."""

from __future__ import annotations

import io
import os
import stat
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from airgap_bundle.errors import SpecialFileError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_AGAIN = "plug it in again and run the same command"


class RandomAccess(Protocol):
    """``size`` bytes."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def read_at(self, offset: int, count: int) -> bytes:
        """At most ``count`` bytes from ``offset``, fewer only at the end. Raises ``OSError`` when the medium fails."""

    def close(self) -> None:
        """Let go of the files."""


class FileBytes:
    """One regular file. Raises ``StoreError`` when it cannot be opened, ``SpecialFileError`` for anything else.

    ``follow`` is for a path that a person typed; a name found on a medium is never followed.
    """

    def __init__(self, path: Path, *, follow: bool = False) -> None:
        try:
            self._descriptor = os.open(path, _FLAGS | (0 if follow else os.O_NOFOLLOW))
        except OSError as error:
            raise StoreError(f"{path} cannot be opened: {error.strerror}", _AGAIN) from error
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise SpecialFileError(f"{path} is no regular file")
        self.size = found.st_size

    def read_at(self, offset: int, count: int) -> bytes:
        """As ``RandomAccess`` says."""
        parts: list[bytes] = []
        while count and (chunk := os.pread(self._descriptor, count, offset)):
            parts.append(chunk)
            offset, count = offset + len(chunk), count - len(chunk)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class PartBytes:
    """``parts``, one after another."""

    def __init__(self, parts: Sequence[RandomAccess]) -> None:
        self._parts = parts
        self._ends = list(accumulate(part.size for part in parts))
        self.size = self._ends[-1] if self._ends else 0

    def read_at(self, offset: int, count: int) -> bytes:
        """As ``RandomAccess`` says."""
        found: list[bytes] = []
        while count > 0 and offset < self.size:
            number = bisect_right(self._ends, offset)
            begin = self._ends[number] - self._parts[number].size
            chunk = self._parts[number].read_at(offset - begin, min(count, self._ends[number] - offset))
            if not chunk:
                break  # a part became shorter while it was read; the digest tells
            found.append(chunk)
            offset, count = offset + len(chunk), count - len(chunk)
        return b"".join(found)

    def close(self) -> None:
        """Close every part."""
        for part in self._parts:
            part.close()


class Window(io.RawIOBase):
    """``size`` bytes of ``data`` from ``offset``, as a stream."""

    def __init__(self, data: RandomAccess, offset: int, size: int) -> None:
        super().__init__()
        self._data, self._offset, self._end = data, offset, offset + size

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, count: int = -1) -> bytes:
        """At most ``count`` bytes from where the stream stands, all that is left when negative."""
        left = self._end - self._offset
        chunk = self._data.read_at(self._offset, left if count < 0 else min(count, left))
        self._offset += len(chunk)
        return chunk

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # raw streams pass these two
        """Fill ``buffer`` from where the stream stands; 0 at its end."""
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)
