"""Split sets and packed files of small bundles, and media that fail the way real ones do."""

from __future__ import annotations

import errno
import os
import random
import shutil
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from airgap_bundle.media import split as splitting
from airgap_bundle.media.random_access import FileBytes
from tests.bundles import signer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airgap_bundle.media.split import SplitSet

PART = 1 << 16
WEIGHTS = random.Random(7).randbytes(5 * PART + 1234)
FILES = {
    "policy": {"models.yaml": b"schema: 1\n"},
    "tiny-model": {"model.gguf": b"GGUF" + WEIGHTS, "chat_template.jinja": b"{{ prompt }}"},
}


@contextmanager
def small_pieces() -> Iterator[None]:
    """Pieces of the smallest size that a list may name, so that small parts have several."""
    real = splitting._PIECE
    splitting._PIECE = 1 << 16
    try:
        yield
    finally:
        splitting._PIECE = real


def split_set(bundle: Path, out: Path, *, by: str = "release", **plan: object) -> SplitSet:
    """Split ``bundle`` into parts of two pieces."""
    with small_pieces():
        return splitting.split(bundle, out, signer(by), replace(splitting.Plan(part_size=2 * PART), **plan))  # type: ignore[arg-type]


def sticks(folder: Path, out: Path) -> list[Path]:
    """One folder for each part of the set in ``folder``, each with the list: as many sticks."""
    found = []
    for part in sorted(path for path in folder.iterdir() if path.suffix != ".LST"):
        stick = out / f"stick-{part.suffix[1:]}"
        stick.mkdir(parents=True)
        shutil.copy(part, stick)
        shutil.copy(folder / "RELEASE.LST", stick)
        found.append(stick)
    return found


class PulledStick:
    """A part on a stick that is pulled after ``bytes_left`` bytes: from then on reading is an I/O error."""

    def __init__(self, path: Path, bytes_left: int) -> None:
        self._file, self._left = FileBytes(path), bytes_left
        self.size = self._file.size

    def read_at(self, offset: int, count: int) -> bytes:
        self._left -= count
        if self._left < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._file.read_at(offset, count)

    def close(self) -> None:
        self._file.close()
