"""One command at a time changes a site. The lock leaves no file behind, so that a refused install leaves nothing."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.site.paths import SitePaths


class SiteBusyError(DeploymentError):
    """Another command holds the site's lock."""


def busy(paths: SitePaths) -> bool:
    """Whether a command is changing the site at this moment. Only looks: where no lock lies there, none is made."""
    try:
        descriptor = os.open(_place(paths), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def site_lock(paths: SitePaths, part: str = "") -> Iterator[None]:
    """Hold the site's lock, or that of a ``part`` of it. Raises ``SiteBusyError`` when another command holds it."""
    path = _place(paths, part)
    _make_base(path.parent)
    descriptor = _acquire(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: whoever waits finds another file and starts over
        os.close(descriptor)


def _place(paths: SitePaths, part: str = "") -> Path:
    return paths.run.with_name(f"{paths.run.name}{part and f'-{part}'}.lock")


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(descriptor, path):
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise SiteBusyError(
                "another sovereign command is changing this site", "wait until it has ended, then try again"
            ) from error
        os.close(descriptor)


def _is(descriptor: int, path: Path) -> bool:
    """Whether the locked file still has that name: its last holder may have removed it in between."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _make_base(folder: Path) -> None:
    """The per-user runtime folder, which must be ours alone where we make it below a folder open to all."""
    if os.geteuid() == 0:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
        raise DeploymentError(f"{folder} belongs to someone else or is open to others", "set $XDG_RUNTIME_DIR")
