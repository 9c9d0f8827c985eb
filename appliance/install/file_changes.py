"""Which of the operator's files a step puts in the place of which: what the log says of policies, keys and waivers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_SHORT = 12
"""Digits of a file's sha256: enough to tell which file it was, when somebody shows one."""


def file_changes(wanted: Mapping[str, tuple[Path, bytes]], owned: Iterable[tuple[str, Path]]) -> dict[str, str]:
    """What writing ``wanted`` (name: where to, what) changes; all files of the folders ``owned`` not in it are removed.

    Under ``removed``, ``changed`` and ``added``, as far as there are any: names with the digest of what is there then,
    or was. Nothing is written. After an interruption, what was written already counts as unchanged.
    """
    before = {name: _read(path) for name, (path, _) in wanted.items()}
    going = {
        f"{name}/{path.name}": _read(path)
        for name, folder in owned
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if f"{name}/{path.name}" not in wanted
    }
    found = {
        "removed": _told(going),
        "changed": _told({n: data for n, (_, data) in wanted.items() if before[n] not in {None, data}}),
        "added": _told({n: data for n, (_, data) in wanted.items() if before[n] is None}),
    }
    return {kind: names for kind, names in found.items() if names}


def _told(files: Mapping[str, bytes | None]) -> str:
    return "; ".join(f"{name} {hashlib.sha256(data or b'').hexdigest()[:_SHORT]}" for name, data in files.items())


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
