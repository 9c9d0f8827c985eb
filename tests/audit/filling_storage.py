"""A disk of a log that fills up, tears what does not fit, and refuses what it is told to refuse."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from appliance.audit.storage import DiskStorage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class FillingStorage:
    """A disk with ``room`` bytes left; what does not fit is torn in the middle, as a real one does it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.disk = DiskStorage(directory)
        self.room: int | None = None
        self.checkpoint_error: int | None = None
        self.removal_fails = False

    def write(self, files: Mapping[str, bytes]) -> None:
        for path, data in files.items():
            if self.room is not None and len(data) > self.room:
                (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
                (self.directory / path).write_bytes(data[: self.room])
                self.room = 0
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self.room is not None:
                self.room -= len(data)
            self.disk.write({path: data})

    def replace(self, path: str, data: bytes) -> None:
        if self.checkpoint_error is not None:
            raise OSError(self.checkpoint_error, os.strerror(self.checkpoint_error))
        self.disk.replace(path, data)

    def remove(self, path: str) -> None:
        if self.removal_fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.disk.remove(path)
