"""The few file operations that the log is written with, behind a protocol so that a full disk can be played.

Durability is explicit: ``write`` and ``replace`` return only when the bytes, and the names that lead to them, have been
handed to the disk with fsync. Everything raises ``OSError`` unchanged.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

Item = TypeVar("Item")


class Storage(Protocol):
    """What the log needs from a file system; paths are relative to the log's folder."""

    def write(self, files: Mapping[str, bytes]) -> None:
        """Create all files durably, their folders included. On an error some may exist, and the last may be torn.

        A file that exists already is replaced atomically, never cut short.
        """

    def replace(self, path: str, data: bytes) -> None:
        """Put ``data`` at ``path`` durably and atomically: a reader sees the old bytes or the new ones."""

    def remove(self, path: str) -> None:
        """Remove a file or a whole folder; one that does not exist is no error."""


class DiskStorage:
    """Files below ``directory``. fsyncs of one batch run side by side, so that the disk can merge them."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="audit-fsync")

    def write(self, files: Mapping[str, bytes]) -> None:
        """See ``Storage``. Files first, then the folders that name them."""
        folders: set[Path] = set()
        for path in files:
            folders |= self._make_folder((self._root / path).parent)
        self._all(self._create, list(files.items()))
        self._all(_sync_folder, sorted(folders))

    def replace(self, path: str, data: bytes) -> None:
        """See ``Storage``."""
        self._exchange(self._root / path, data)
        _sync_folder((self._root / path).parent)

    def remove(self, path: str) -> None:
        """See ``Storage``."""
        target = self._root / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop the helper threads."""
        self._threads.shutdown()

    def _create(self, item: tuple[str, bytes]) -> None:
        target = self._root / item[0]
        if target.exists():
            self._exchange(target, item[1])
        else:
            _write_file(target, item[1])

    def _exchange(self, target: Path, data: bytes) -> None:
        scratch = target.with_name(target.name + ".new")
        try:
            _write_file(scratch, data)
            scratch.rename(target)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise

    def _make_folder(self, folder: Path) -> set[Path]:
        """Make ``folder`` and say which folders got a new name: it, and the parents of what was made."""
        touched = {folder}
        while not folder.exists() and folder != self._root:
            folder = folder.parent
            touched.add(folder)
        for made in sorted(touched):
            made.mkdir(exist_ok=True)
        return touched

    def _all(self, work: Callable[[Item], None], items: Iterable[Item]) -> None:
        """Run ``work`` over all items; wait for every one of them, then raise the first error."""
        running = [self._threads.submit(work, item) for item in items]
        wait(running)
        for one in running:
            one.result()


def _write_file(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
