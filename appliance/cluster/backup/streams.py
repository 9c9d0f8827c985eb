"""What comes from a cluster's hosts as a stream: of a bounded size, and known to be whole.

`kubectl exec` and ssh hand bytes on and can end in the middle of them. Whatever runs on the other side says the mark
when it has succeeded, behind its last byte; what comes without it is none of ours. The mark is no proof: a host that
was taken over says what it likes.
"""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING, cast

from appliance.errors import DeploymentError, RefusedError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from typing_extensions import Buffer

MARK = "sovereign:this-was-all-of-it"
AND_MARK = '"$@" && printf %s "$0"'
"""For `sh -c`, with ``MARK`` for its name: runs the words behind it and says the mark."""
_RESERVE = 1 << 30


class Whole(io.RawIOBase):
    """Passes on to ``sink`` what is written to it, without the mark that ends it, and no more than ``most`` bytes."""

    def __init__(self, sink: BinaryIO, what: str, most: int) -> None:
        super().__init__()
        self._sink, self._what, self._left = sink, what, most
        self._tail = b""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Buffer) -> int:
        """Take all of ``data``. Raises ``RefusedError`` beyond the bound, and as ``sink`` does."""
        piece = bytes(data)
        held = self._tail + piece
        ready, self._tail = held[: -len(MARK)], held[-len(MARK) :]
        self._left -= len(ready)
        if self._left < 0:
            raise RefusedError(
                f"{self._what} is larger than what the medium has room for",
                "look at the host that sends it; else name a larger medium",
            )
        if ready:
            self._sink.write(ready)
        return len(piece)

    def finish(self) -> None:
        """Raise ``DeploymentError`` unless the mark came last."""
        if self._tail != MARK.encode():
            raise DeploymentError(f"{self._what} was cut on its way", "try again; `sovereign status` shows the hosts")


def room(folder: Path) -> int:
    """How many bytes one stream may take of the medium of ``folder``: what a host sends does not fill it."""
    return max(0, shutil.disk_usage(folder).free - _RESERVE)


class Behind(io.RawIOBase):
    """``first``, then all of ``source``: a line for the program on the other side, and its data."""

    def __init__(self, first: bytes, source: BinaryIO) -> None:
        super().__init__()
        self._first, self._source = first, source

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none at the end. Raises as ``source`` does."""
        first, self._first = self._first, b""
        return first or self._source.read(size)


def as_file(stream: io.RawIOBase) -> BinaryIO:
    """The stream, for what asks for a binary file."""
    return cast("BinaryIO", stream)
