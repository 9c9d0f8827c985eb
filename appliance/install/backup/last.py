"""When this site was last backed up, and whether somebody was erased since: kept by the commands, shown by `status`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from airgap_bundle import durable

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.digest import Digest
    from appliance.site.paths import SitePaths

MAX_BYTES = 4096
OVERDUE = timedelta(days=3)
"""A backup every night, and a weekend in which nobody changed the medium."""
CLOCKS = timedelta(minutes=5)
"""So much a clock may have been set back since."""
_ADVICE = "`sovereign backup create`"


@dataclass(frozen=True)
class LastBackup:
    """The newest backup: when it was begun (ISO 8601, UTC), its statement's digest, and that of the release in force.

    ``erased`` is the last erasure after it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid")
    made: str
    digest: str
    release: str
    erased: str | None = None

    def __post_init__(self) -> None:
        """Raises ``ValueError`` for a time that is none, or that says not where."""
        for time in (self.made, *((self.erased,) if self.erased else ())):
            if datetime.fromisoformat(time).tzinfo is None:
                raise ValueError(time)


@dataclass(frozen=True)
class _Erasure:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid")
    ended: str


_BACKUP, _ERASURE = TypeAdapter(LastBackup), TypeAdapter(_Erasure)


def note_backup(paths: SitePaths, made: datetime, digest: Digest, release: Digest) -> None:
    """Keep that a backup that was begun at ``made``, under ``release``, lies on its medium."""
    note = {"made": made.isoformat(), "digest": str(digest), "release": str(release)}
    durable.replace(_file(paths), json.dumps(note).encode())


def put_back(paths: SitePaths, former: LastBackup | None) -> None:
    """Keep ``former`` as the newest backup again, since the one after it does not count. Raises ``StoreError``."""
    if former is None:
        durable.discard(_file(paths))
        return
    note = {"made": former.made, "digest": former.digest, "release": former.release}
    durable.replace(_file(paths), json.dumps(note).encode())


def note_erasure(paths: SitePaths, now: datetime) -> None:
    """Keep that an erasure ended. In a file of its own: a backup that is being made meanwhile does not hide it."""
    if _file(paths).exists():
        durable.replace(_erasures(paths), json.dumps(asdict(_Erasure(now.isoformat()))).encode())


def last_backup(paths: SitePaths) -> LastBackup | None:
    """The newest backup; None where there was none, or what is kept says nothing."""
    try:
        kept = _BACKUP.validate_json(_read(_file(paths)))
    except (OSError, ValidationError):
        return None
    try:
        erased = _ERASURE.validate_json(_read(_erasures(paths))).ended
        after = datetime.fromisoformat(erased) >= datetime.fromisoformat(kept.made)
    except (OSError, ValueError, TypeError):  # pydantic's ValidationError is a ValueError
        return kept
    return replace(kept, erased=erased if after else None)


def backup_warnings(paths: SitePaths, now: datetime) -> tuple[str, ...]:
    """What an operator should act on; nothing where the caller may not read the site's state."""
    if not os.access(paths.journal.parent, os.R_OK | os.X_OK):
        return ()
    return warnings_of(last_backup(paths), now)


def warnings_of(last: LastBackup | None, now: datetime) -> tuple[str, ...]:
    """The same of what is known. Pure."""
    if last is None:
        return (f"nothing of this site is backed up: {_ADVICE}",)
    found = []
    age = now - datetime.fromisoformat(last.made)
    if age < -CLOCKS:
        found.append(f"the last backup is dated {shown(last.made)}, which is yet to come: look at the clock; {_ADVICE}")
    if age > OVERDUE:
        found.append(f"the last backup was begun {shown(last.made)}: {_ADVICE}, or look at what runs it")
    if last.erased is not None:
        found.append(
            f"somebody was erased {shown(last.erased)}, and the last backup still opens what was theirs: {_ADVICE}"
        )
    return tuple(found)


def shown(time: str) -> str:
    """``2026-01-31 04:10 UTC``."""
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _file(paths: SitePaths) -> Path:
    return paths.journal.parent / "backup.json"


def _erasures(paths: SitePaths) -> Path:
    return paths.journal.parent / "erased.json"


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise OSError(f"{path} is too large")
    return raw
