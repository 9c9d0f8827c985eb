"""Which of the operator's files a step puts in the place of which: what the log says of policies, keys and waivers."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from appliance.install.journal import Record

FILES = "files"
"""Under which a record of the install journal holds changes."""
_SHORT = 12
"""Digits of a file's sha256: enough to tell which file it was, when somebody shows one."""
Changes = dict[str, list[str]]
DIGESTS = "digests"
"""Under which a record holds the whole digests of each changed file: one entry of the log is made of each."""
Digests = dict[str, tuple[str | None, str | None]]
"""By name: sha256 in hex of what was there and of what is there then; None where there is nothing."""


def digests_of_changes(
    wanted: Mapping[str, tuple[Path, bytes]],
    owned: Iterable[tuple[str, Path]],
    said: Mapping[str, str | None] | None = None,
) -> Digests:
    """What writing ``wanted`` (name: where to, what) changes; all files of the folders ``owned`` not in it are removed.

    Nothing is written. After an interruption, what was written already counts as unchanged: so it is asked,
    and what it says is kept, before anything is written. ``said`` are digests that were kept of earlier changes: a file
    that somebody changed where it lies is changed since then.
    """
    before = {name: _read(path) for name, (path, _) in wanted.items()}
    there = {f"{name}/{path.name}": path for name, folder in owned if folder.is_dir() for path in folder.iterdir()}
    going = {name: (_digest(_read(there[name])), None) for name in sorted(there) if name not in wanted}
    found = {name: (_digest_or_none(before[name]), _digest(data)) for name, (_, data) in wanted.items()}
    found |= {name: (said[name], now) for name, (was, now) in found.items() if was == now and said and name in said}
    gone = {name: (was, None) for name, was in (said or {}).items() if was and name not in found and name not in going}
    return gone | going | {name: (was, now) for name, (was, now) in found.items() if was != now}


def last_said(records: Iterable[Record]) -> dict[str, str | None]:
    """By name, the digest that a step's ``records`` have last as in force, or as coming; None: it went.

    What came when the step was cut off was there when it was done the next time. What failed is in force only where it
    lies there.
    """
    said: dict[str, str | None] = {}
    coming: dict[str, str | None] = {}
    for record in records:
        named = {name: after for name, (_, after) in digests_of(record.detail).items()}
        if record.state == "started":
            coming |= named
        elif record.state == "done":
            said |= coming | named
        if record.state != "started":
            coming = {}
    return said | coming


def told_changes(digests: Digests) -> Changes:
    """The same in short, as one entry has it.

    Under ``removed``, ``changed`` and ``added``, as far as there are any: the beginning of the digest of what is there
    then, or was, and the name.
    """
    found: Changes = {"removed": [], "changed": [], "added": []}
    for name, (before, after) in digests.items():
        sort = "removed" if after is None else "added" if before is None else "changed"
        found[sort].append(f"{(after or before or '')[:_SHORT]} {name}")
    return {sort: names for sort, names in found.items() if names}


def journaled_changes(digests: Digests) -> dict[str, str]:
    """As a record of the install journal holds them; nothing where nothing changes."""
    return {FILES: json.dumps(told_changes(digests)), DIGESTS: json.dumps(digests)} if digests else {}


def digests_of(detail: Mapping[str, str]) -> Digests:
    """The digests that a record of the install journal holds; none in one of an earlier release."""
    found: dict[str, list[str | None]] = json.loads(detail.get(DIGESTS, "{}"))
    return {name: (before, after) for name, (before, after) in found.items()}


def changes_of(detail: Mapping[str, str]) -> Changes:
    """The changes that a record of the install journal holds."""
    found: Changes = json.loads(detail.get(FILES, "{}"))
    return found


def _digest_or_none(data: bytes | None) -> str | None:
    return None if data is None else _digest(data)


def _digest(data: bytes | None) -> str:
    return hashlib.sha256(data or b"").hexdigest()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
