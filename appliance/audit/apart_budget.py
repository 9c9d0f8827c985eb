"""How much of one sender is kept apart, and what of the disk is left to entries: bytes, and files as well.

Whoever is let call often can say much, and all of it stays for months. Each text is a file of its own, and a file
system has room for so many: a file counts as ``FILE_BYTES`` at least, for which ext4 makes one inode unless it is told
otherwise, so that many short texts use up no more of the one than of the other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PERIOD_SECONDS, PERIOD_BYTES = 3600, 16 << 20
FILE_BYTES = 16 << 10
RESERVE = 50
"""One part in so many of the disk's bytes, and of its inodes where it counts them, is left to entries."""


class Budget:
    """What may still be kept in ``directory``. ``clock`` is monotonic seconds."""

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        self._spent: dict[int | None, tuple[float, int]] = {}

    def spend(self, sender: int | None, sizes: Sequence[int]) -> bool:
        """Whether new files of so many bytes each may be kept for ``sender``; then they count. Raises ``OSError``."""
        begun, spent = self._spent.get(sender, (0.0, 0))
        now = self._clock()
        if not spent or now - begun >= PERIOD_SECONDS:
            begun, spent = now, 0
        spent += sum(max(size, FILE_BYTES) for size in sizes)
        if spent > PERIOD_BYTES or not self._fits(sum(sizes), len(sizes)):
            return False
        self._spent[sender] = begun, spent
        return True

    def _fits(self, size: int, files: int) -> bool:
        disk = os.statvfs(self._directory)
        room = disk.f_bavail * disk.f_frsize - size >= disk.f_blocks * disk.f_frsize // RESERVE
        return room and (not disk.f_files or disk.f_favail - files >= disk.f_files // RESERVE)
