"""Sizes for people, and room on a disk, asked before long work rather than met in the middle of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airgap_bundle.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path


def check_room(folder: Path, needed: int) -> None:
    """Raise ``StoreError`` unless ``needed`` bytes are free where ``folder`` lies."""
    try:
        found = os.statvfs(folder)
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {error.strerror}", "name a folder that exists") from error
    free = found.f_bavail * found.f_frsize
    if needed > free:
        cause = f"{folder} has {size_text(free)} free, {size_text(needed)} are needed"
        raise StoreError(cause, "free some space, or use another disk")


def size_text(count: int) -> str:
    """``count`` bytes for a person."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
