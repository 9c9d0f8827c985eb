"""Of the backups in a folder, those that a timer made there: which stay, and how the others go.

A backup counts by its statement, which this site has signed: what somebody else put there stays, whatever its name.
They are ordered by the size of the log that they hold, which only grows, and not by a clock that may have been set
back. What goes loses its name before its first byte, so that a folder with a backup's name is one.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING

from airgap_bundle import durable
from airgap_bundle.errors import VerificationError
from airgap_bundle.statement import MAX_STATEMENT_BYTES
from appliance.errors import DeploymentError
from appliance.install.backup.statement import BACKUP_TYPE, STATEMENT, verified
from appliance.install.lock import SiteBusyError
from appliance.packs.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner
    from appliance.install.backup.statement import Statement

GOING, DAMAGED = ".going", ".damaged"
_NAME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}Z")


def folder_name(now: datetime) -> str:
    """``2026-11-26T033000Z``: what every file system takes, in the order of time."""
    return f"{now.astimezone(UTC):%Y-%m-%dT%H%M%SZ}"


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Hold ``out`` among the sites of a host, which may name one folder: what one writes is not another's leftover.

    Raises ``SiteBusyError`` while another site's run holds it, and ``OSError``.
    """
    descriptor = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise SiteBusyError(f"another site is backed up into {out}", "give each site a folder of its own") from error
    finally:
        os.close(descriptor)


def older(out: Path, site_keys: Sequence[PublicSigner], newest: Path, keep: int) -> tuple[Path, ...]:
    """What is beyond the ``keep`` newest backups of the site in ``out``; ``newest`` itself is never."""
    found = [
        (told.log_size, told.made, folder)
        for folder in sorted(out.iterdir())
        if folder != newest and _NAME.fullmatch(folder.name) and (told := _statement(folder, site_keys)) is not None
    ]
    return tuple(folder for _, _, folder in sorted(found, reverse=True)[keep - 1 :])


def remove(out: Path, folders: Sequence[Path]) -> None:
    """Remove ``folders`` of ``out``, and what an interruption left there of a backup that came or went.

    Call it under the site's lock: a backup that is being made has an unfinished name, too. Raises ``DeploymentError``.
    """
    try:
        for folder in folders:
            folder.rename(folder.with_name(folder.name + GOING))
        durable.sync_directory(out)
        for left in sorted(out.iterdir()):
            name, dot, suffix = left.name.partition(".")
            if dot and f".{suffix}" in {GOING, durable.PARTIAL} and _NAME.fullmatch(name) and not left.is_symlink():
                shutil.rmtree(left)
    except OSError as error:
        cause = f"older backups in {out} cannot be removed: {error.strerror}"
        raise DeploymentError(cause, "look at the medium, and remove them by hand") from error


def set_aside(folder: Path) -> Path:
    """Give a backup that cannot be read back a name of its own, so that it counts no more; where it lies then."""
    aside = folder.with_name(folder.name + DAMAGED)
    try:
        folder.rename(aside)
    except OSError:  # the medium itself is gone, or fails
        return folder
    return aside


def _statement(folder: Path, site_keys: Sequence[PublicSigner]) -> Statement | None:
    try:
        if folder.is_symlink():
            return None
        return verified(read_regular(folder / STATEMENT, MAX_STATEMENT_BYTES), BACKUP_TYPE, site_keys)
    except (OSError, ValueError, VerificationError):
        return None
