"""What became of the last backup that a timer had made, kept by the command and shown by `status`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from airgap_bundle import durable
from appliance.install.backup.due import around
from appliance.install.backup.last import shown

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

    from appliance.install.backup.last import LastBackup
    from appliance.site.backups import Backups
    from appliance.site.paths import SitePaths

MAX_BYTES = 16 << 10
LATE = timedelta(hours=3)
"""A backup waits half an hour for other commands, and takes its time."""


@dataclass(frozen=True)
class Ran:
    """A run that ended (ISO 8601, UTC): what it made; ``cause`` says why that is nothing, or why older ones stay."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid")
    ended: str
    folder: str | None = None
    cause: str | None = None

    def __post_init__(self) -> None:
        """Raises ``ValueError`` for a time that is none, or that says not where."""
        if datetime.fromisoformat(self.ended).tzinfo is None:
            raise ValueError(self.ended)


_KEPT = TypeAdapter(Ran)


def note_run(paths: SitePaths, ran: Ran) -> None:
    """Keep ``ran`` for `status`."""
    durable.replace(_file(paths), json.dumps(asdict(ran)).encode())


def last_run(paths: SitePaths) -> Ran | None:
    """The last run; None where there was none, or what is kept says nothing."""
    try:
        with _file(paths).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        return _KEPT.validate_json(raw) if len(raw) <= MAX_BYTES else None
    except (OSError, ValidationError):
        return None


def run_warnings(
    plan: Backups | None, ran: Ran | None, made: LastBackup | None, now: datetime, zone: tzinfo | None = None
) -> tuple[str, ...]:
    """What an operator should act on; of a site that was never backed up, others warn. Pure."""
    if plan is None or ran is None:
        return ()
    ended = datetime.fromisoformat(ran.ended)
    if ran.cause is not None and (made is None or ran.folder is not None or datetime.fromisoformat(made.made) <= ended):
        what = "after the backup of" if ran.folder is not None else "no backup was made at"
        return (f"{what} {shown(ran.ended)}: {ran.cause}; then `sovereign backup run`",)
    due, _ = around(plan, now - LATE, zone)
    if ended < due:
        return (f"the backup that was due {shown(due.isoformat())} was not made: look at its timer",)
    return ()


def _file(paths: SitePaths) -> Path:
    return paths.journal.parent / "backup-run.json"
