"""Files that are brought as documents: found below paths, opened without following links, read by the importer."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import UsageError
from appliance.memory.parsing.media import BY_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_FILES = 100_000


@dataclass(frozen=True)
class Gathered:
    """Files that may be documents, in order, and how many below folders are of kinds that are not read."""

    files: tuple[Path, ...]
    passed_over: int


def gather(paths: Sequence[Path]) -> Gathered:
    """Files named by ``paths``, and those below its folders whose names say a kind that is read.

    Links and hidden files below folders are passed over. Raises ``UsageError`` for a path that is not there.
    """
    found: list[Path] = []
    passed_over = 0
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise UsageError(f"{path}: no such file", "name files or folders that are there")
            found.append(path.absolute())
            continue
        for folder, folders, names in os.walk(path.absolute()):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                file = Path(folder, name)
                if file.suffix.lower() in BY_SUFFIX and not name.startswith(".") and not file.is_symlink():
                    found.append(file)
                else:
                    passed_over += 1
        if len(found) > MAX_FILES:
            raise UsageError(f"{path} holds more than {MAX_FILES} documents", "import its folders one after the other")
    return Gathered(tuple(dict.fromkeys(found)), passed_over)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of the regular file at ``path``. Raises ``UsageError``; a pipe is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or 'cannot be read').lower()}", "name a regular file") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageError(f"{path}: not a regular file", "name a regular file")
        yield descriptor
    finally:
        os.close(descriptor)
