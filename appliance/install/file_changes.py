"""Which of the operator's files a step puts in the place of which: what the log says of policies, keys and waivers."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FILES = "files"
"""Under which a record of the install journal holds changes."""
_SHORT = 12
"""Digits of a file's sha256: enough to tell which file it was, when somebody shows one."""
Changes = dict[str, list[str]]


def file_changes(wanted: Mapping[str, tuple[Path, bytes]], owned: Iterable[tuple[str, Path]]) -> Changes:
    """What writing ``wanted`` (name: where to, what) changes; all files of the folders ``owned`` not in it are removed.

    Under ``removed``, ``changed`` and ``added``, as far as there are any: the digest of what is there then, or was, and
    the name. Nothing is written. After an interruption, what was written already counts as unchanged: so it is asked,
    and what it says is kept, before anything is written.
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


def journaled_changes(changes: Changes) -> dict[str, str]:
    """As a record of the install journal holds them; nothing where nothing changes."""
    return {FILES: json.dumps(changes)} if changes else {}


def changes_of(detail: Mapping[str, str]) -> Changes:
    """The changes that a record of the install journal holds."""
    found: Changes = json.loads(detail.get(FILES, "{}"))
    return found


def _told(files: Mapping[str, bytes | None]) -> list[str]:
    return [f"{hashlib.sha256(data or b'').hexdigest()[:_SHORT]} {name}" for name, data in files.items()]


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
