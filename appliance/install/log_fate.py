"""What becomes of a log whose site is to go: it is kept elsewhere, whole, or its operator says that it goes, too.

Entries are kept for as long as the site's policy says, six months at least, and no removal of the site is a way round
that: it is refused while the log has an entry that is younger, unless one of the two was said. How old the last entry
is, its checkpoint's signed time says, held against the clock: nothing comes after it by which more could be known.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.retention import DAY_MS, require_days
from appliance.audit.stored import StoredLog, read_stored
from appliance.audit.whole import check_whole
from appliance.errors import NotAllowedError, SovereignError, UsageError
from appliance.install.act_record import LOG
from appliance.install.journal import Journal, read_journal
from appliance.install.steps.secrets import VKEYS
from appliance.site.load import load_site
from appliance.site.paths import AUDIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint
    from appliance.site.paths import SitePaths

    Progress = Callable[[int, int], None] | None

ARCHIVED, DISCARD = "--log-archived", "--discard-log"
REMOVAL: Final = "uninstall"
"""In a host's journal: ``done`` announces a removal, and ``started`` says that from there on it deletes."""
DISCARDED = {LOG: "discarded"}
"""In the record of a removal, and so in the log's last entry, where its operator said so."""
_LAST = int(datetime.max.replace(tzinfo=UTC).timestamp())


@dataclass(frozen=True)
class LogFate:
    """What the operator says: ``archived`` holds the whole log elsewhere, or ``discard``: it goes with the site."""

    archived: Path | None = None
    discard: bool = False

    def __post_init__(self) -> None:
        if self.archived is not None and self.discard:
            raise UsageError(f"{ARCHIVED} and {DISCARD} exclude each other", "say one of them")

    def record(self) -> dict[str, str]:
        """What the record of the removal says of it."""
        return DISCARDED if self.discard else {}


UNSAID = LogFate()


def require_fate(paths: SitePaths, fate: LogFate, progress: Progress = None) -> Checkpoint | None:
    """Return when the log of the host's site may go, with its head; None: nothing was ever logged, or nobody can tell.

    Raises ``NotAllowedError`` where it is to be kept and nothing was said of it, ``UsageError`` for a copy that would
    go along or that cannot be whole while the log goes on, and as ``check_whole`` for one that is not the whole log.
    What is left of a log whose deletion began and was cut off is not asked about again.
    """
    if not _anything_in(paths.audit_log) or was_going(paths):
        return None
    how = f"`sovereign down`, copy {paths.audit_log} to a medium"
    try:
        vkeys = read_vkeys(paths.policies / VKEYS)
        stored = read_stored(paths.audit_log, vkeys)
    except (OSError, SovereignError) as error:
        refuse_unread(error, fate)
        return None
    if not stored.head.size:
        return None
    if fate.archived is not None:
        _refuse_running(paths, how)
        refuse_inside(paths, fate.archived, paths.audit_log)
        check_whole(fate.archived, stored.head, vkeys=vkeys, gone=_gone(stored), progress=progress)
    else:
        days = load_site(paths.site_yaml).audit.retention_days if paths.site_yaml.exists() else 0
        refuse_young(stored.head, days, fate, how)
    return stored.head


def refuse_young(head: Checkpoint, days: int, fate: LogFate, how: str) -> None:
    """Raise ``NotAllowedError`` while the last entry is younger than ``days``, unless its log is to be discarded."""
    least, age_ms = require_days(days), _now_ms() - head.time * 1000
    if fate.discard or (head.time > 0 and age_ms >= least * DAY_MS):
        return
    last = datetime.fromtimestamp(min(head.time, _LAST), UTC).date()
    raise NotAllowedError(
        f"the audit log is to be kept: of its {head.size} entries the last is of {last}, and each stays {least} days",
        f"{how} and give {ARCHIVED} FOLDER, which is checked; or {DISCARD}, and the log goes with the site",
    )


def refuse_unread(error: Exception, fate: LogFate) -> None:
    """Raise ``NotAllowedError`` for a log that cannot be read, so that nobody knows what goes, unless it may go."""
    if fate.discard:
        return
    cause = error.cause if isinstance(error, SovereignError) else str(error)
    unheld, hint = "", f"keep a copy of it as it is; {DISCARD} says that it goes with the site"
    if fate.archived is not None:
        unheld = f", so {fate.archived} could not be held against it"
        hint = f"{ARCHIVED} is of use once the log can be read; without it, {DISCARD} alone says that the log goes"
    raise NotAllowedError(
        f"the audit log may hold entries that are to be kept, and cannot be read{unheld}: {cause}", hint
    ) from error


def refuse_inside(paths: SitePaths, folder: Path, *others: Path) -> None:
    """Raise ``UsageError`` for a copy that lies where the removal deletes."""
    place = folder.resolve()
    inside = any(place.is_relative_to(root.resolve()) for root in (paths.root, paths.run))
    if inside or any(other.exists() and folder.exists() and folder.samefile(other) for other in others):
        raise UsageError(f"{folder} would go with the site", f"name a copy outside {paths.root}")


def note_going(paths: SitePaths) -> None:
    """Journal that the removal, which was let through, begins to delete. It waits for no disk that is full."""
    with suppress(SovereignError, OSError), closing(Journal.open(paths.journal)) as journal:
        journal.append(REMOVAL, "started", "")


def was_going(paths: SitePaths) -> bool:
    """Whether a removal began to delete, and nothing else was done to the site since.

    That one was announced says nothing: it may have been cut off while the log was whole, and its writer on.
    """
    last = takewhile(lambda record: record.step == REMOVAL, reversed(read_journal(paths.journal)))
    return any(record.state == "started" for record in last)


def _refuse_running(paths: SitePaths, how: str) -> None:
    try:
        with SyncAuditClient(paths.socket(AUDIT)) as client:
            client.checkpoint()
    except AuditUnavailableError:
        return
    raise UsageError("the log goes on while its writer runs, and no copy is whole", f"{how}, and name that")


def _anything_in(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except FileNotFoundError:
        return False
    except OSError:  # it is there, and no folder, or not ours to read
        return True


def _gone(stored: StoredLog) -> int:
    return stored.pruned.end if stored.pruned else 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
