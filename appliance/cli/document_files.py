"""Files that are brought as documents: found below paths, opened without following links, read by the importer.

Whoever may write in a folder may change it while the operator's process reads it. So no name is followed twice: folders
are walked by their descriptors, and a file is opened step by step from the root of the file system, where a link at any
step is refused. Links on a path that the operator named are resolved once, before.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import UsageError
from appliance.memory.parsing.blocks import cleaned
from appliance.memory.parsing.media import BY_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LINKS = (errno.ELOOP, errno.ENOTDIR)
MAX_FILES = 100_000
MAX_DEPTH = 32
"""Folders below a folder that are looked into."""
_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_LISTED = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, order=True)
class Found:
    """A file: ``path`` is what it is known by, ``real`` where it is opened, without a link on the way."""

    path: Path
    real: Path


@dataclass(frozen=True)
class Gathered:
    """Files that may be documents, in order; files whose names are no text; how many others folders hold."""

    files: tuple[Found, ...]
    unnamed: tuple[Path, ...]
    passed_over: int


def gather(paths: Sequence[Path]) -> Gathered:
    """Files named by ``paths``, and those below its folders whose names say a kind that is read.

    Links and hidden files below folders are passed over. Raises ``UsageError`` for a path that is not there, and for a
    folder that cannot be read whole.
    """
    parts: list[Gathered] = []
    for path in paths:
        if path.is_dir():
            parts.append(below(path.absolute(), path.resolve()))
        elif not path.exists():
            raise UsageError(f"{path}: no such file", "name files or folders that are there")
        else:
            place = path.absolute()
            parts.append(_sorted([Found(place, place.parent.resolve() / place.name)], 0))
    return Gathered(
        tuple(dict.fromkeys(file for part in parts for file in part.files)),
        tuple(dict.fromkeys(file for part in parts for file in part.unnamed)),
        sum(part.passed_over for part in parts),
    )


def below(folder: Path, real: Path) -> Gathered:
    """Files below ``folder``, which is opened at ``real``. Raises ``UsageError``, also where a link is on the way."""
    found: list[Found] = []
    passed_over = 0
    with _folder(folder, real) as descriptor:
        for inside, read in _walked(descriptor, folder, Path(), 0):
            if not read:
                passed_over += 1
                continue
            found.append(Found(folder / inside, real / inside))
            if len(found) > MAX_FILES:
                raise UsageError(
                    f"{folder} holds more than {MAX_FILES} documents", "import its folders one after the other"
                )
    return _sorted(found, passed_over)


def _walked(descriptor: int, folder: Path, inside: Path, depth: int) -> Iterator[tuple[Path, bool]]:
    """What lies in the open folder and below, and whether it is read: files first, then folders, by name."""
    with _readable(folder / inside), os.scandir(descriptor) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    for entry in entries:
        if entry not in folders:
            kind = Path(entry.name).suffix.lower() in BY_SUFFIX and not entry.name.startswith(".")
            yield inside / entry.name, kind and entry.is_file(follow_symlinks=False)
    for entry in folders:
        if entry.name.startswith(".") or depth == MAX_DEPTH:
            yield inside / entry.name, False
            continue
        with ExitStack() as held:
            with _readable(folder / inside / entry.name):
                below_it = os.open(entry.name, _LISTED, dir_fd=descriptor)
            held.callback(os.close, below_it)
            yield from _walked(below_it, folder, inside / entry.name, depth + 1)


@contextmanager
def opened(file: Found) -> Iterator[int]:
    """A descriptor of the regular file. Raises ``UsageError``; a pipe is not waited for."""
    with ExitStack() as held:
        try:
            folder = _descended(held, file.real.parent)
            descriptor = os.open(file.real.name, _FILE, dir_fd=folder)
        except OSError as error:
            raise UsageError(f"{cleaned(str(file.path))}: {_said(error)}", "name a regular file") from error
        held.callback(os.close, descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageError(f"{cleaned(str(file.path))}: not a regular file", "name a regular file")
        yield descriptor


@contextmanager
def _folder(folder: Path, real: Path) -> Iterator[int]:
    with ExitStack() as held:
        with _readable(folder):
            at = os.open(real.name or "/", _LISTED, dir_fd=_descended(held, real.parent))
        held.callback(os.close, at)
        yield at


@contextmanager
def _readable(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{cleaned(str(place))}: {_said(error)}", "name a folder that can be read, by a path without links"
        ) from error


def _descended(held: ExitStack, real: Path) -> int:
    """A descriptor of the folder ``real``, come to step by step; a link on the way is an ``OSError``."""
    at = os.open("/", _STEP)
    held.callback(os.close, at)
    for name in real.parts[1:]:
        at = os.open(name, _STEP, dir_fd=at)
        held.callback(os.close, at)
    return at


def _said(error: OSError) -> str:
    if error.errno in _LINKS:
        return "a link is on the way, and links are not followed"
    return (error.strerror or "cannot be read").lower()


def _sorted(found: Sequence[Found], passed_over: int) -> Gathered:
    texts = [file for file in found if _is_text(file.path)]
    return Gathered(tuple(texts), tuple(file.path for file in found if not _is_text(file.path)), passed_over)


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
