"""One file of a fixed size, opened before the engine is confined; afterwards only its bytes change.

Two places for the list of what is kept come first, then blocks. Nothing is synced: what a power cut leaves half written
does not open (``sealing``), and is computed again.
"""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

from appliance.engine.errors import KvArenaError

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
BLOCK_BYTES = MIB
PLACE_BYTES = 4 * MIB
_PLACES = 2


def open_arena(path: Path, mib: int) -> int:
    """A descriptor of the file at ``path``, made ``mib`` MiB long; its folder exists and nobody else may enter it.

    The file is sparse: it takes the room of what is kept. Raises ``KvArenaError``.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
        os.ftruncate(descriptor, mib * MIB)
    except OSError as error:
        raise KvArenaError(f"{path.name} cannot be opened for keeping what was computed: {error.strerror}") from error
    return descriptor


def hold_to_size(descriptor: int) -> None:
    """Let this process make no file longer than the arena is now, for good.

    Called before it is confined, since no limit can be set afterwards; nor can it be raised again without privileges.
    """
    size = os.fstat(descriptor).st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


class Arena:
    """Blocks and places of an open file. Safe from any thread; who writes where is for the caller to know."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.block_count = max(0, (os.fstat(descriptor).st_size - _PLACES * PLACE_BYTES) // BLOCK_BYTES)

    def place(self, generation: int) -> bytes:
        """The place that lists of this generation's parity are written to."""
        return os.pread(self._descriptor, PLACE_BYTES, generation % _PLACES * PLACE_BYTES)

    def write_place(self, generation: int, data: bytes) -> None:
        """Put a list into its place. Raises ``OSError``; ``ValueError`` when it is longer than a place."""
        if len(data) > PLACE_BYTES:
            raise ValueError("the list is longer than its place")
        self._write(data, generation % _PLACES * PLACE_BYTES)

    def read_block(self, number: int, length: int) -> bytes:
        """The first ``length`` bytes of a block. Raises ``OSError``."""
        return os.pread(self._descriptor, length, self._offset(number))

    def write_block(self, number: int, data: bytes) -> None:
        """Fill a block from its beginning. Raises ``OSError``."""
        self._write(data, self._offset(number))

    def _write(self, data: bytes, offset: int) -> None:
        left = memoryview(data)
        while left:
            done = os.pwrite(self._descriptor, left, offset)
            left, offset = left[done:], offset + done

    @staticmethod
    def _offset(number: int) -> int:
        return _PLACES * PLACE_BYTES + number * BLOCK_BYTES
