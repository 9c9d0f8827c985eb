"""Files that are whole or absent after a power cut: write beside, fsync, rename, fsync the folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

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
            partial.unlink(missing_ok=True)
        names = ", ".join(map(str, files))
        raise StoreError(f"{names} cannot be written: {error.strerror}", "check free space and rights") from error


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as out:
        os.fchmod(out.fileno(), 0o644)
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
