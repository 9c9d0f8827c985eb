"""A folder that holds parts of a split set: ``NAME.LST`` and ``NAME.001`` onwards, in 8.3 names that FAT keeps.

Names on a medium are compared without regard to case, because FAT and ISO 9660 are mounted in either; a link is never
followed.
"""

from __future__ import annotations

import re
import stat
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from airgap_bundle.errors import FormatError, StoreError
from airgap_bundle.media.random_access import FileBytes, PartBytes, Window
from airgap_bundle.medium import read_capped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LIST_SUFFIX = ".LST"
MAX_PARTS = 999
MAX_LIST_BYTES = 8 << 20
SET_NAME = re.compile(r"[A-Z0-9]{1,8}", re.ASCII)
_PART = re.compile(r"([A-Z0-9]{1,8})\.([0-9]{3})", re.ASCII)


def part_name(name: str, number: int) -> str:
    """``NAME.003`` for part 3 (the first is 1)."""
    return f"{name}.{number:03}"


def list_name(name: str) -> str:
    """``NAME.LST``."""
    return name + LIST_SUFFIX


@dataclass(frozen=True)
class PartFolder:
    """What lies in ``folder``: path of the list (None without one) and of each part by number."""

    folder: Path
    list: Path | None = None
    parts: Mapping[int, Path] = field(default_factory=dict)
    names: frozenset[str] = frozenset()

    def read_list(self) -> bytes:
        """The list's bytes. Raises ``FormatError`` above what a reader accepts, and ``StoreError``."""
        assert self.list is not None
        with closing(FileBytes(self.list)) as data:
            stream = cast("BinaryIO", Window(data, 0, data.size))
            return read_capped(stream, self.list.name, MAX_LIST_BYTES)

    def data(self, count: int) -> PartBytes:
        """Parts 1 to ``count``, one after another. Raises ``StoreError``, ``SpecialFileError``."""
        opened: list[FileBytes] = []
        try:
            for number in range(1, count + 1):
                opened.append(FileBytes(self.parts[number]))  # noqa: PERF401 - what is open when one fails is closed
        except BaseException:
            for part in opened:
                part.close()
            raise
        return PartBytes(opened)


def find_set(folder: Path, name: str | None = None) -> PartFolder:
    """The split set ``name`` in ``folder``, or the only one there is. Raises ``FormatError`` for several."""
    try:
        files = {path.name.upper(): path for path in folder.iterdir() if stat.S_ISREG(path.lstat().st_mode)}
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be read: {error.strerror}", "plug it in again, or name its folder"
        ) from error
    names = {file.removesuffix(LIST_SUFFIX) for file in files if file.endswith(LIST_SUFFIX)}
    names = {found for found in names if SET_NAME.fullmatch(found)}
    if name is not None:
        names &= {name.upper()}
    if len(names) > 1:
        raise FormatError(
            f"{folder} holds the sets {', '.join(sorted(names))}", "name the list file of the one you mean"
        )
    if not names:
        return PartFolder(folder)
    wanted = next(iter(names))
    matches = ((_PART.fullmatch(file), path) for file, path in files.items())
    parts = {int(match[2]): path for match, path in matches if match and match[1] == wanted}
    parts.pop(0, None)
    return PartFolder(folder, files[list_name(wanted)], parts, frozenset({wanted}))
