"""What may come before the blobs of a packed bundle (FORMAT-media.md, section 17): one place for all who read or write.

Whoever reads a stream keeps these files in memory, and whoever reads in place lists them; both stop at the same member.
"""

from __future__ import annotations

from airgap_bundle.errors import FormatError
from airgap_bundle.media.order import BLOBS

MAX_HEAD_FILE, MAX_HEAD_BYTES, MAX_HEAD_FILES = 4 << 20, 64 << 20, 1024


class HeadRules:
    """Watches the members of one packed bundle, which ``name`` stands for in messages, as they come."""

    def __init__(self, name: str = "packed bundle") -> None:
        self._name = name
        self._last, self._files, self._bytes, self._over = b"", 0, 0, False

    def in_head(self, path: str, size: int) -> bool:
        """Whether the member that comes next, ``size`` bytes long, is one of those before the blobs.

        Raises ``FormatError`` for one that comes after a blob, out of order, or beyond a cap.
        """
        if path.startswith(BLOBS):
            self._over = True
            return False
        if self._over or path.encode() <= self._last:
            raise FormatError(f"{self._name}: {path} is out of order")
        self._last, self._files, self._bytes = path.encode(), self._files + 1, self._bytes + size
        if size > MAX_HEAD_FILE:
            raise FormatError(f"{self._name}: {path} exceeds {MAX_HEAD_FILE} bytes")
        if self._files > MAX_HEAD_FILES:
            raise FormatError(f"{self._name}: there are more than {MAX_HEAD_FILES} files before the blobs")
        if self._bytes > MAX_HEAD_BYTES:
            raise FormatError(f"{self._name}: the files before the blobs exceed {MAX_HEAD_BYTES} bytes")
        return True
