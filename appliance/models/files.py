"""Opening a signed file so that what was checked is what is used: one descriptor, hashed, then handed on.

The name is opened once, without following a symbolic link, and never again. Size and bytes are those behind the
descriptor. A rename over the name afterwards changes nothing; a write into the file itself needs a right that the check
refuses to others (owner root or ourselves, no write bit for group or others), and one that happens while the file is
being read shows in its change time, which nobody can set.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.models.errors import FileChangedError, FileDigestError, FileSizeError, ModelFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_CHUNK = 4 << 20


def open_checked(path: Path, *, size: int, sha256: str, progress: Callable[[int, int], None] | None = None) -> int:
    """A read-only descriptor of ``path``, whose every byte was hashed. The caller closes it.

    Raises ``ModelFileError``, ``FileSizeError``, ``FileChangedError`` or ``FileDigestError``; then nothing is open.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise ModelFileError(f"{path.name} cannot be opened: {error.strerror}", "import the release again") from error
    try:
        _check(fd, path.name, size, sha256, progress)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check(fd: int, name: str, size: int, sha256: str, progress: Callable[[int, int], None] | None) -> None:
    before = os.fstat(fd)
    if not stat.S_ISREG(before.st_mode):
        raise ModelFileError(f"{name} is not a regular file")
    if before.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or before.st_uid not in (0, os.geteuid()):
        raise ModelFileError(f"{name} can be written by others than root and the engine", "import the release again")
    if before.st_size != size:
        raise FileSizeError(f"{name} has {before.st_size} bytes and {size} were signed", "import the release again")
    found = _digest(fd, size, progress)
    if _identity(os.fstat(fd)) != _identity(before):
        raise FileChangedError(f"{name} was changed while it was being read", "find out who writes to the store")
    if found != sha256:
        raise FileDigestError(f"{name} is not the file that was signed", "import the release again")


def _digest(fd: int, size: int, progress: Callable[[int, int], None] | None) -> str:
    hasher = hashlib.sha256()
    done = 0
    while chunk := os.pread(fd, _CHUNK, done):
        hasher.update(chunk)
        done += len(chunk)
        if progress is not None:
            progress(done, size)
    return hasher.hexdigest()


def _identity(status: os.stat_result) -> tuple[int, int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@contextmanager
def checked(path: Path, *, size: int, sha256: str) -> Iterator[int]:
    """As ``open_checked``, closed at the end."""
    fd = open_checked(path, size=size, sha256=sha256)
    try:
        yield fd
    finally:
        os.close(fd)
