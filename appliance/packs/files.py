"""Reading files of a pack: regular ones only, never through a link, and never more than was said. One place for it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_regular(path: Path, most: int) -> bytes:
    """The bytes of the regular file ``path``.

    Raises ``OSError``, and ``ValueError`` for a link, a device, a pipe, or more than ``most`` bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            raise ValueError("is a link, and only plain files belong here") from error
        raise
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise ValueError("is no plain file")
        found = opened.read(most + 1)
    if len(found) > most:
        raise ValueError(f"is larger than {most} bytes")
    return found
