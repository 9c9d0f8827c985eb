"""Files that are whole or absent after a power cut: write beside, fsync, rename, fsync the folder.

What is written beside is always a new file: what lies there under its name (left by a power cut, or put there, a link
to another file perhaps) is removed first, and never opened.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from airgap_bundle.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PARTIAL = ".partial"


def sync_directory(directory: Path) -> None:
    """Make the names in ``directory`` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` (0644), whatever was there. Raises ``StoreError``; ``path`` then is as it was."""
    replace_all({path: data})


def replace_all(files: Mapping[Path, bytes]) -> None:
    """As ``replace`` for several files: all are written beside their places before the first one is renamed.

    So a full disk is met before anything changes. The renames follow in order, each durable before the next.
    """
    partials = {path: path.with_name(path.name + PARTIAL) for path in files}
    try:
        for path, data in files.items():
            _write(partials[path], data)
        for path, partial in partials.items():
            partial.replace(path)
            sync_directory(path.parent)
    except OSError as error:
        for partial in partials.values():
            discard(partial)
        names = ", ".join(map(str, files))
        raise StoreError(f"{names} cannot be written: {error.strerror}", "check free space and rights") from error


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Put ``data`` at ``path``, where nothing may lie. Raises ``OSError``; what was begun is gone then."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        sync_directory(path.parent)
    except OSError:
        discard(path)
        raise


def create(path: Path) -> BinaryIO:
    """A new file at ``path`` (0644), open for writing, in the place of whatever file or link lies there."""
    path.unlink(missing_ok=True)
    out = path.open("xb")
    os.fchmod(out.fileno(), 0o644)
    return out


def discard(path: Path) -> None:
    """Remove the file ``path`` where that can be done: it is done after a failure, which is what is to be told."""
    with suppress(OSError):
        path.unlink()


def _write(path: Path, data: bytes) -> None:
    with create(path) as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
