"""One writer per log: an advisory lock on the log's own folder, which no copy and no second path to it escapes.

The kernel drops the lock with the process, so nothing stale is left after a crash. It does not span hosts.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from appliance.audit.errors import WriterLockedError

if TYPE_CHECKING:
    from pathlib import Path


def lock_directory(directory: Path) -> int:
    """Take the lock; the descriptor that holds it until it is closed. Raises ``WriterLockedError`` at once."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise WriterLockedError(
            f"another writer holds the audit log {directory}", "a log has exactly one writer: stop the other first"
        ) from error
    return descriptor
