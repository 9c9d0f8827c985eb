"""What this site runs on timers: as the operator would run it, since folders and secrets may be open to root alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.install.backup.due import calendar
from appliance.install.brief_runs import compile_at
from appliance.install.document_syncs import sync_minutes
from appliance.install.supervision.timed import BACKUP, BRIEFS, DOCUMENTS, Timed

if TYPE_CHECKING:
    from appliance.site.backups import Backups
    from appliance.site.config import SiteConfig

_BY_THE_MINUTE = "AccuracySec=1min"
"""So that an operator can tell when."""
_MISSED = "Persistent=true"
"""Also where the host slept, or was off, at that time."""


def timed_commands(config: SiteConfig) -> tuple[Timed, ...]:
    """What ``config`` has run by itself; nothing where it declares nothing of the kind. Pure."""
    minutes, at = sync_minutes(config), compile_at(config)
    found = (
        documents_sync(minutes) if minutes is not None else None,
        briefs_compile(at) if at is not None else None,
        backup_run(config.backup) if config.backup is not None else None,
    )
    return tuple(one for one in found if one is not None)


def documents_sync(minutes: int) -> Timed:
    """Reads document folders, each file in a process of its own.

    Status 3 says that some files were refused: the others are in, and `status` tells.
    """
    when = ("OnActiveSec=5min", f"OnUnitInactiveSec={minutes}min", _BY_THE_MINUTE)
    return Timed(DOCUMENTS, "read document folders", ("document", "sync"), when, fine=3)


def briefs_compile(at: str) -> Timed:
    """Compiles groups' briefs once a day; it asks the gateway, as the program that evaluates does."""
    when = (f"OnCalendar=*-*-* {at}:00", _MISSED, _BY_THE_MINUTE)
    return Timed(BRIEFS, "compile groups' briefs", ("memory", "compile"), when, "AF_UNIX AF_INET AF_INET6")


def backup_run(plan: Backups) -> Timed:
    """Backs up at the times that the site says: as root, whose alone the secrets are."""
    return Timed(BACKUP, "back up", ("backup", "run"), (*calendar(plan), _MISSED, _BY_THE_MINUTE))
