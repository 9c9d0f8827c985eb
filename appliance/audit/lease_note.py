"""Which pod held the writer's Lease last, durably, in the log's folder: what a pod goes on by without an API server.

It is the host's own: no backup and no copy of the log has it, and whoever writes it has the log's lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.regular_file import read_regular
from appliance.audit.storage import DiskStorage
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = "holder"
_MOST = 512


class HolderNote:
    """The note in ``directory``, which exists when it is written."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / HOLDER
        self._storage = DiskStorage(directory)

    def names(self, holder: str) -> bool:
        """Whether it names that pod; a note that cannot be read names nobody."""
        return bool(holder) and self._read() == holder.encode()

    def write(self, holder: str) -> None:
        """Name that pod; empty: nobody. Durable when it returns. Raises ``OSError``; the note then is as it was."""
        if self._read() != holder.encode():
            self._storage.replace(HOLDER, holder.encode())

    def _read(self) -> bytes:
        try:
            return read_regular(self._path, _MOST)
        except (OSError, LogInconsistentError):
            return b""
