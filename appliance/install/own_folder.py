"""A folder of one command's own, which goes with it: at its end, or with the next command where it was killed.

What lies there may be a copy of the audit log, or what a cluster's Secrets are made of. Nobody but the command's user
reads it; and a command that was killed
cannot take it away, so that each one takes away what those before it left. The kernel says whether one still runs: it
holds its folder's lock.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "sovereign-site-"
_BEGINNING_S = 60.0
"""So young a folder may not be locked yet."""


@contextmanager
def own_folder() -> Iterator[Path]:
    """A new folder, 0700, for as long as the block lasts. Raises ``OSError`` where none can be made."""
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _sweep(where: Path) -> None:
    """Remove this user's folders that no command holds any more; of others' none is followed or opened."""
    for left in where.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it went meanwhile, or is held: `BlockingIOError`
            found = left.lstat()
            if found.st_uid != os.geteuid() or time.time() - found.st_mtime < _BEGINNING_S:
                continue
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(descriptor)
