"""Reading forward through a file that nobody trusts, without ever asking for more than it can hold (``gguf``)."""

from __future__ import annotations

import os
import struct

from appliance.models.errors import GgufCountError, GgufLengthError

# Texts in all lists together: the largest vocabularies have 262,144 tokens and about as many merges. Each costs a step
# of its own, so that a file's size alone would allow hours of them.
MAX_TEXTS = 4_194_304
_WINDOW = 1 << 20
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


class Cursor:
    """Reads forward through the file behind ``fd``; never past ``size``."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self.size = size
        self._window = b""
        self._base = 0
        self._at = 0
        self._texts = 0

    @property
    def position(self) -> int:
        """Offset of the next byte."""
        return self._base + self._at

    @property
    def left(self) -> int:
        """Bytes up to the end of the file."""
        return self.size - self.position

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes. Raises ``GgufLengthError`` when the file ends before."""
        end = self._at + count
        if end > len(self._window):
            if count > self.left:
                raise GgufLengthError(f"the header wants {count} bytes at {self.position} of {self.size}")
            self._base, self._at, end = self.position, 0, count
            self._window = os.pread(self._fd, min(max(_WINDOW, count), self.left), self._base)
            if len(self._window) < count:
                raise GgufLengthError("the file became shorter while it was being read")
        piece = self._window[self._at : end]
        self._at = end
        return piece

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes. Raises ``GgufLengthError``."""
        if count > self.left:
            raise GgufLengthError(f"a value of {count} bytes at {self.position} is longer than the file ({self.size})")
        if self._at + count <= len(self._window):
            self._at += count
        else:
            self._base, self._at, self._window = self.position + count, 0, b""

    def skip_texts(self, count: int) -> None:
        """Pass over ``count`` texts, each after its length. Raises ``GgufLengthError`` and ``GgufCountError``."""
        if count > self.left // 8:
            raise GgufLengthError(f"a list of {count} texts in a file of {self.size} bytes")
        self._texts += count
        if self._texts > MAX_TEXTS:
            raise GgufCountError(f"lists of {self._texts} texts; {MAX_TEXTS} are more than any vocabulary needs")
        length, window, at = _U64.unpack_from, self._window, self._at
        for _ in range(count):  # a quarter of a million times for a large vocabulary: no call that need not be
            if at + _U64.size > len(window):
                window, at = self._window_at(self._base + at), 0
            at += _U64.size + length(window, at)[0]
        self._at = at
        if self.left < 0:
            raise GgufLengthError(f"a list of texts ends at {self.position}, behind the file ({self.size})")

    def _window_at(self, position: int) -> bytes:
        """Move the window to ``position``, where a number begins. Raises ``GgufLengthError``."""
        if position + _U64.size > self.size:
            raise GgufLengthError(f"a text is longer than the file ({self.size})")
        self._base, self._at = position, 0
        self._window = os.pread(self._fd, min(_WINDOW, self.size - position), position)
        if len(self._window) < _U64.size:
            raise GgufLengthError("the file became shorter while it was being read")
        return self._window

    def u32(self) -> int:
        """The next unsigned 32-bit number."""
        return int(_U32.unpack(self.take(4))[0])

    def u64(self) -> int:
        """The next unsigned 64-bit number."""
        return int(_U64.unpack(self.take(8))[0])

    def short_text(self, limit: int, what: str) -> bytes:
        """A string of at most ``limit`` bytes. Raises ``GgufLengthError``."""
        length = self.u64()
        if length > min(limit, self.left):
            raise GgufLengthError(f"{what} of {length} bytes")
        return self.take(length)
