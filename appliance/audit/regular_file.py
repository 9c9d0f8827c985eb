"""Reading a file of somebody else's folder: a regular file, no link, and no more of it than it may hold.

The log's folder is the writer's, and a copy of it came from anywhere. Whoever reads it, often as root, must neither
wait for ever on a FIFO nor be led elsewhere by a link.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of the file at ``path``, at most ``limit`` of them: a caller that takes n asks for n + 1.

    Raises ``LogInconsistentError`` when it is no regular file, ``OSError`` unchanged (``FileNotFoundError`` among
    them, ``ELOOP`` for a link).
    """
    descriptor = os.open(path, _FLAGS)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise LogInconsistentError(f"{path} is no regular file")
        parts: list[bytes] = []
        while limit and (part := file.read(min(limit, max(found.st_size, 1)))):
            parts.append(part)
            limit -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
