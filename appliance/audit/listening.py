"""The writer's Unix socket."""

from __future__ import annotations

import socket as sockets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MODE = 0o660
_BACKLOG = 512


def listen(path: Path) -> sockets.socket:
    """A listening Unix socket at ``path``. The log's lock is held, so whatever lies there is a dead writer's."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".new")
    scratch.unlink(missing_ok=True)
    listener = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        listener.bind(str(scratch))
        scratch.chmod(MODE)
        listener.listen(_BACKLOG)
        scratch.rename(path)
    except OSError:
        listener.close()
        raise
    return listener
