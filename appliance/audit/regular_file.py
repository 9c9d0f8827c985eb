"""Reading a file of somebody else's folder: a regular file, no link, and no more of it than it may hold.

The log's folder is the writer's, and a copy of it came from anywhere. Whoever reads it, often as root, must neither
wait for ever on a FIFO nor be led elsewhere by a link.
"""

from __future__ import annotations

import os
import stat
from typing import IO, TYPE_CHECKING

from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of the file at ``path``, at most ``limit`` of them: a caller that takes n asks for n + 1.

    Raises ``LogInconsistentError`` when it is no regular file, ``OSError`` unchanged (``FileNotFoundError`` among
    them, ``ELOOP`` for a link).
    """
    with open_regular(path, buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        parts: list[bytes] = []
        while limit and (part := file.read(min(limit, max(size, 1)))):
            parts.append(part)
            limit -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def open_regular(path: Path, buffering: int = -1) -> IO[bytes]:
    """The file at ``path``, open for who reads it bit by bit. Raises as ``read_regular``."""
    file = os.fdopen(os.open(path, _FLAGS), "rb", buffering=buffering)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise LogInconsistentError(f"{path} is no regular file")
    return file
