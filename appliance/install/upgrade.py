"""`sovereign upgrade`: a site that runs goes to a newer release, and knows beforehand whether it could return.

It is an installation of a newer bundle, whose steps stop the units, migrate the databases and start the services. Three
questions come before anything is brought in: what changes, whether `rollback` could undo it, and, where it could not,
whether a backup of today could. What is refused leaves store, trust and services as they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airgap_bundle.store import Store
from appliance.errors import RefusedError, UsageError
from appliance.install.admission import admit, announce
from appliance.install.backup.last import LastBackup, last_backup, shown
from appliance.install.backup.mark import refuse_half_restored
from appliance.install.host import Installed, Request, check_same_name, put_in_force, site_files
from appliance.install.lock import site_lock
from appliance.install.preflight.report import check_host
from appliance.install.release_change import Change, Held, changes, held, no_way_back
from appliance.install.release_description import active_version

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.install.runner import Advance, Observer
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase

RECENT = timedelta(hours=24)
"""Where only a restore leads back, the backup is as old at most: what came after it would be lost."""


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade would change.

    ``final`` says why `rollback` could not undo it, ``refusal`` why it may not begin; None: it could, it may.
    """

    before: str
    after: str
    changes: tuple[Change, ...]
    final: str | None
    backup: LastBackup | None
    refusal: str | None

    def data(self) -> dict[str, object]:
        """As JSON data."""
        return {
            "before": self.before,
            "after": self.after,
            "changes": [change.data() for change in self.changes],
            "rollback_impossible": self.final,
            "last_backup": self.backup.made if self.backup else None,
            "refusal": self.refusal,
        }


def plan_upgrade(paths: SitePaths, bundle: Path) -> Upgrade:
    """Compare ``bundle`` with what is in force; nothing is changed, and its blobs are not all read.

    Raises ``UsageError`` where nothing is installed, and as ``announce``.
    """
    active = held(Store(paths.store).open_release(active_version(paths)))
    new = announce(bundle, paths)
    begun = paths.release(new.version).exists()
    return planned(active, new, last_backup(paths), datetime.now(UTC), begun=begun)


def planned(active: Held, new: Held, backup: LastBackup | None, now: datetime, *, begun: bool) -> Upgrade:
    """The same of what is known. Pure. One that was ``begun`` goes on: there is no backing up between two releases."""
    final = None if new.version == active.version else no_way_back(active, new)
    lacking = None if final is None or begun else _lacking(backup, now)
    return Upgrade(active.version, new.version, changes(active, new), final, backup, lacking)


def _lacking(backup: LastBackup | None, now: datetime) -> str | None:
    """What the last backup lacks to be the way back; None: nothing."""
    if backup is None:
        return "this site was never backed up"
    if now - datetime.fromisoformat(backup.made) > RECENT:
        return f"the last backup was begun {shown(backup.made)}, more than a day ago"
    return None


def may_upgrade(paths: SitePaths, request: Request) -> Upgrade:
    """What ``upgrade`` would change, where it may begin; nothing is changed.

    Raises ``RefusedError`` where only a backup leads back and there is none of today, ``PreflightError`` for a host
    that does not do, and as ``plan_upgrade``.
    """
    refuse_half_restored(paths)
    found = plan_upgrade(paths, request.bundle)
    if found.refusal is not None:
        raise RefusedError(f"{found.final}, and {found.refusal}", "`sovereign backup create`, then upgrade")
    files = site_files(paths, request.config)
    check_same_name(paths, files)
    check_host(files, paths, request.bundle).demand()
    return found


def upgrade(  # noqa: PLR0913 - what an upgrade is made of, by keyword
    paths: SitePaths,
    request: Request,
    found: Upgrade,
    *,
    passphrase: Passphrase,
    observer: Observer,
    progress: Advance,
) -> Installed:
    """Go to the release that ``may_upgrade`` ``found``; services are ready when it returns.

    Running it again, with the same bundle, finishes one that was interrupted. Raises ``VerificationError`` as an
    installation does, and where bundle or site are others than ``found``: nothing is changed then.
    """
    files = site_files(paths, request.config)
    with site_lock(paths):
        if active_version(paths) not in (found.before, found.after):
            raise UsageError("another release was put in force meanwhile", "upgrade again")
        release = admit(request.bundle, paths, None, progress)
        if release.version != found.after:
            raise RefusedError(f"{request.bundle} holds another release now", "look at the medium, and upgrade again")
        return put_in_force(paths, files, release, passphrase=passphrase, observer=observer)
