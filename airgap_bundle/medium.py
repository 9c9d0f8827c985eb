"""A bundle directory on removable media: untrusted names, untrusted sizes, links and devices included.

Everything is opened relative to the directory's descriptor, without following a link in any component, and only after
its name has been checked; what is not a regular file or directory is refused. Bytes are read once per question: the
caller hashes what it got and never asks the medium for the same thing twice.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

from airgap_bundle.errors import FormatError, MissingFileError, SpecialFileError, StoreError
from airgap_bundle.names import check_distinct, check_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import TracebackType

MAX_FILES = 1_000_000
MAX_DEPTH = 4
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_LINK_ERRORS = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR})


@dataclass(frozen=True)
class Listing:
    """What lies on the medium: files with their sizes, and directories; paths are relative and checked."""

    files: dict[str, int] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)


class BundleSource(Protocol):
    """What verification reads: a directory (``Medium``), or a packed file that holds the same (``media.packed``)."""

    def list(self) -> Listing:
        """Everything there. Raises ``SpecialFileError``, ``UnsafeNameError``, ``FormatError``, ``StoreError``."""

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The file ``path``. Raises ``MissingFileError``, ``SpecialFileError``, ``StoreError``."""

    def read(self, path: str, max_bytes: int) -> bytes:
        """All of ``path``. Raises as ``open``, and ``FormatError`` above ``max_bytes``."""


class Medium:
    """The bundle directory ``path``, open. A context manager; not a writer."""

    def __init__(self, path: Path) -> None:
        try:
            self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StoreError(f"bundle {path} cannot be opened: {error.strerror}", "name the bundle's folder") from error
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._root)

    def list(self) -> Listing:
        """Everything there. Raises ``SpecialFileError``, ``UnsafeNameError``, ``FormatError``, ``StoreError``."""
        found = Listing()
        try:
            self._list_into(found, self._root, "")
        except OSError as error:
            raise StoreError(f"bundle {self.path} cannot be read: {error.strerror}") from error
        check_distinct([*found.files, *found.directories])
        return found

    def _list_into(self, found: Listing, directory: int, prefix: str) -> None:
        if prefix.count("/") > MAX_DEPTH:
            raise FormatError(f"{prefix} lies deeper than any file of a bundle")
        room = MAX_FILES - len(found.files) - len(found.directories)
        with os.scandir(directory) as entries:
            items = [
                (entry.name, status.st_mode, status.st_size)
                for entry in itertools.islice(entries, room + 1)
                for status in (entry.stat(follow_symlinks=False),)
            ]
        if len(items) > room:
            raise FormatError(f"more than {MAX_FILES} files and folders")
        for name, mode, size in sorted(items):
            path = check_path(prefix + name)
            if stat.S_ISDIR(mode):
                found.directories.add(path)
                with _opened(name, _DIRECTORY_FLAGS, directory) as inner:
                    self._list_into(found, inner, f"{path}/")
            elif stat.S_ISREG(mode):
                found.files[path] = size
            else:
                raise SpecialFileError(f"{path} is {_what(mode)}, not a regular file")

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """The regular file ``path``. Raises ``MissingFileError``, ``SpecialFileError``, ``StoreError``."""
        *parents, name = check_path(path).split("/")
        current = os.dup(self._root)
        try:
            for part in parents:
                inner = os.open(part, _DIRECTORY_FLAGS, dir_fd=current)
                os.close(current)
                current = inner
            stream = os.fdopen(os.open(name, _FILE_FLAGS, dir_fd=current), "rb", buffering=0)
        except FileNotFoundError as error:
            raise MissingFileError(f"{path} is missing", "copy the bundle again") from error
        except OSError as error:
            if error.errno in _LINK_ERRORS:
                raise SpecialFileError(f"{path} lies behind a link or something that is no directory") from error
            raise StoreError(f"{path} cannot be opened: {error.strerror}", "try the medium again") from error
        finally:
            os.close(current)
        with stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise SpecialFileError(f"{path} is {_what(os.fstat(stream.fileno()).st_mode)}, not a regular file")
            yield stream

    def read(self, path: str, max_bytes: int) -> bytes:
        """All of ``path``. Raises as ``open``, ``FormatError`` above ``max_bytes`` and ``StoreError``."""
        with self.open(path) as stream:
            return read_capped(stream, path, max_bytes)


def read_capped(stream: BinaryIO, path: str, max_bytes: int) -> bytes:
    """All of ``stream``, which is ``path``. Raises ``FormatError`` above ``max_bytes`` and ``StoreError``."""
    try:
        data = read_up_to(stream, max_bytes + 1)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "try the medium again") from error
    if len(data) > max_bytes:
        raise FormatError(f"{path} exceeds {max_bytes} bytes")
    return data


def read_up_to(stream: BinaryIO, count: int) -> bytes:
    """At most ``count`` bytes: an unbuffered stream may give fewer than asked before its end."""
    parts: list[bytes] = []
    while count and (chunk := stream.read(min(count, 1 << 20))):
        parts.append(chunk)
        count -= len(chunk)
    return b"".join(parts)


@contextmanager
def _opened(name: str, flags: int, directory: int) -> Iterator[int]:
    descriptor = os.open(name, flags, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _what(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a character device",
        stat.S_IFBLK: "a block device",
        stat.S_IFDIR: "a directory",
    }
    return kinds.get(stat.S_IFMT(mode), "of an unknown type")
