"""A file of the journal: filled from its beginning in whole blocks, past the page cache, and written over in turn.

A write that goes to the device as it is (O_DIRECT) is durable sooner than one that is first copied into the page cache
and then flushed from there. Where a file system has none, O_DSYNC alone is as durable. The block that a record begins
in is written again with it: what lay in it stays as it was, byte for byte, whichever part of the write a power cut
leaves.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 4096
"""Of every device that we know of a multiple of its sector, and what O_DIRECT asks of addresses and lengths."""
_AT_ONCE = 1 << 20
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DSYNC


class Segment:
    """The file at ``path``, for its one writer, who alone knows how much of it is ``used``. Raises ``OSError``."""

    def __init__(self, path: Path) -> None:
        self.used = 0
        self._room = mmap.mmap(-1, _AT_ONCE)  # aligned; begins with what the block that is being filled holds
        self._file = _opened(path)

    def write(self, data: bytes) -> None:
        """Append ``data``; durable on return. After an error only the disk knows what is there."""
        rest = memoryview(data)
        while rest:
            lead = self.used % BLOCK
            part = rest[: _AT_ONCE - lead]
            end = lead + len(part)
            whole = -(-end // BLOCK) * BLOCK
            self._room[lead:end] = part
            self._room[end:whole] = bytes(whole - end)
            self._put(whole, self.used - lead)
            self.used, rest = self.used + len(part), rest[len(part) :]
            kept = end % BLOCK
            self._room[:kept] = self._room[end - kept : end]

    def clear(self, size: int) -> None:
        """All zeros, ``size`` bytes of them, durably; takes its space at once."""
        os.ftruncate(self._file, size)
        self.free()
        try:
            self.write(bytes(size))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            fcntl.fcntl(self._file, fcntl.F_SETFL, os.O_DSYNC)  # some refuse O_DIRECT here, and not where it is opened
            self.free()
            self.write(bytes(size))
        self.free()

    def free(self) -> None:
        """What is there may be written over."""
        self.used = 0

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _put(self, length: int, at: int) -> None:
        with memoryview(self._room) as blocks:
            done = 0
            while done < length:
                done += os.pwrite(self._file, blocks[done:length], at + done)


def _opened(path: Path) -> int:
    try:
        return os.open(path, _FLAGS | os.O_DIRECT, 0o640)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what says so has no O_DIRECT: open(2)
            raise
    return os.open(path, _FLAGS, 0o640)
