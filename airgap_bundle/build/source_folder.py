"""Folders of our own that are compiled: their digest, and a copy of exactly what it covers.

Hidden files and byte code are no sources. Standard library only (see the package's docstring).
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from airgap_bundle.digest import sha256
from airgap_bundle.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def folder_digest(home: Path) -> str:
    """Over the path and content of every source below ``home``. Raises ``LockError`` for links and specials."""
    lines = [f"{sha256(path.read_bytes()).hex}  {inner}\n" for inner, path in _sources(home)]
    return sha256("".join(lines).encode()).hex


def copy_folder(home: Path, dest: Path) -> None:
    """Every source below ``home`` into the new folder ``dest``. Raises ``LockError`` as ``folder_digest``."""
    for inner, path in _sources(home):
        target = dest / inner
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _sources(home: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(home.rglob("*"), key=lambda item: item.relative_to(home).as_posix()):
        inner = path.relative_to(home).as_posix()
        if any(part.startswith(".") or part == "__pycache__" for part in inner.split("/")):
            continue
        if path.is_dir() and not path.is_symlink():
            continue
        if path.is_symlink() or not path.is_file():
            raise LockError(f"{path}: sources are regular files")
        yield inner, path
