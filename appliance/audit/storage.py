"""The few file operations that the log is written with, behind a protocol so that a full disk can be played.

Durability is explicit: ``write`` and ``replace`` return only when the bytes, and the names that lead to them, have been
handed to the disk with fsync. Everything raises ``OSError`` unchanged.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_THREADS = 8
_MOST_OPEN = 64


class Storage(Protocol):
    """What the log needs from a file system; paths are relative to the log's folder."""

    def write(self, files: Mapping[str, bytes]) -> None:
        """Create all files durably, their folders included. On an error some may exist, and the last may be torn.

        A file that exists already is replaced atomically, never cut short.
        """

    def replace(self, path: str, data: bytes) -> None:
        """Put ``data`` at ``path`` durably and atomically: a reader sees the old bytes or none, or the new ones.

        Its folder is made where there is none.
        """

    def remove(self, path: str) -> None:
        """Remove a file or a whole folder; one that does not exist is no error."""


class DiskStorage:
    """Files below ``directory``. fsyncs of one batch run side by side, so that the disk can merge them."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="audit-fsync")

    def write(self, files: Mapping[str, bytes]) -> None:
        """See ``Storage``. Everything is written first, then files and folders reach the disk side by side."""
        folders: set[Path] = set()
        opened: list[int] = []
        try:
            for path, data in files.items():
                target = self._root / path
                folders |= self._make_folder(target.parent)
                if target.exists():
                    self._exchange(target, data)
                else:
                    opened.append(_write(target, data))
                if len(opened) == _MOST_OPEN:
                    self._sync(opened)
            opened += [os.open(folder, _FOLDER) for folder in sorted(folders)]
            self._sync(opened)
        finally:
            _close(opened)

    def replace(self, path: str, data: bytes) -> None:
        """See ``Storage``."""
        target = self._root / path
        folders = self._make_folder(target.parent)
        self._exchange(target, data)
        for folder in sorted(folders):
            descriptor = os.open(folder, _FOLDER)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

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

    def _exchange(self, target: Path, data: bytes) -> None:
        """Put whole, durable bytes in the place of what is there."""
        scratch = target.with_name(target.name + ".new")
        try:
            descriptor = _write(scratch, data)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
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

    def _sync(self, opened: list[int]) -> None:
        """Flush and close all; wait for every one of them, then raise the first error."""
        running = [self._threads.submit(os.fsync, one) for one in opened]
        wait(running)
        _close(opened)
        for one in running:
            one.result()


def _close(opened: list[int]) -> None:
    while opened:
        os.close(opened.pop())


def _write(path: Path, data: bytes) -> int:
    """Write a new file and return its descriptor, open, for fsync."""
    descriptor = os.open(path, _FILE, 0o640)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
