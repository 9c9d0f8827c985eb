"""`sovereign upgrade`: a site that runs goes to a newer release, and knows beforehand whether it could return.

It is an installation of a newer bundle, whose steps stop the units, migrate the databases and start the services. Three
questions come before anything is brought in: what changes, whether `rollback` could undo it, and, where it could not,
whether a backup of today could. What is refused leaves store, trust and services as they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.store import Store
from appliance.errors import RefusedError, UsageError
from appliance.install.admission import admit, announce
from appliance.install.backup.last import CLOCKS, LastBackup, last_backup, shown
from appliance.install.backup.mark import refuse_half_restored
from appliance.install.host import Installed, Request, check_same_name, put_in_force, site_files
from appliance.install.judged import check as check_judged
from appliance.install.lock import site_lock
from appliance.install.postgres_version import HINT as OTHER_POSTGRES
from appliance.install.postgres_version import cannot_read, check_data, data_major
from appliance.install.preflight.report import check_host
from appliance.install.release_change import Change, Held, cannot_take_over, changes, held, no_way_back
from appliance.install.release_description import active_version
from appliance.install.release_env import choose_python
from appliance.install.steps.context import Context
from appliance.install.steps.site import judge_models
from appliance.install.vault import Vault

if TYPE_CHECKING:
    from airgap_bundle.digest import Digest
    from airgap_bundle.store import VerifiedRelease
    from appliance.install.runner import Advance, Observer
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase

RECENT = timedelta(hours=24)
"""Where only a restore leads back, the backup is as old at most: what came after it would be lost."""

_BACK_UP = "`sovereign backup create`, then upgrade; where nothing runs, `install` of what is in force mends it first"


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade would change.

    ``final`` says why `rollback` could not undo it, ``refusal`` why it may not begin and ``hint`` what to do about it;
    None: it could, it may. ``digest`` is the new release's.
    """

    before: str
    after: str
    digest: Digest
    changes: tuple[Change, ...]
    final: str | None
    backup: LastBackup | None
    refusal: str | None
    hint: str | None

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

    Raises ``UsageError`` where nothing is installed, and as ``announce`` and ``data_major``.
    """
    active = held(Store(paths.store).open_release(active_version(paths)))
    return planned(active, announce(bundle, paths), last_backup(paths), datetime.now(UTC), data_major(paths))


def planned(  # noqa: PLR0913 - what is known, and what more speaks against it
    active: Held,
    new: Held,
    backup: LastBackup | None,
    now: datetime,
    data: str | None = None,
    *,
    against: str | None = None,
    final: str | None = None,
    begun: bool = False,
) -> Upgrade:
    """The same of what is known; ``data`` is the major version of PostgreSQL that the site's data are of. Pure.

    ``against`` is a further reason why ``new`` cannot take over, and ``final`` one why it could not be undone.
    ``begun``: the way to ``new`` was, with a backup where one had to be, and is gone on with.
    """
    same = new.digest == active.digest
    final = None if same else no_way_back(active, new) or final
    refusal, hint = None, None
    if (why := cannot_read(new.postgres, data or active.postgres)) is not None:
        refusal, hint = f"release {new.version} cannot take over this site: {why}", OTHER_POSTGRES
    elif not same and (why := cannot_take_over(active, new) or against) is not None:
        refusal, hint = f"release {new.version} cannot take over this site: {why}", "ask for one that is made after it"
    elif final is not None and not begun and (lacking := _lacking(backup, active, now)) is not None:
        refusal, hint = f"{final}, and {lacking}", _BACK_UP
    return Upgrade(active.version, new.version, new.digest, changes(active, new), final, backup, refusal, hint)


def _lacking(backup: LastBackup | None, active: Held, now: datetime) -> str | None:
    """What the last backup lacks to be the way back; None: nothing."""
    if backup is None:
        return "this site was never backed up"
    age = now - datetime.fromisoformat(backup.made)
    if not -CLOCKS <= age <= RECENT:
        return f"the last backup is of {shown(backup.made)}, not of the last day"
    if backup.release != str(active.digest):
        return f"the last backup is of another release than {active.version}"
    if backup.erased is not None:
        return "somebody was erased since the last backup"
    return None


def may_upgrade(paths: SitePaths, request: Request) -> Upgrade:
    """What ``upgrade`` would change, where it may begin; nothing is changed.

    Raises ``RefusedError`` where only a backup leads back and there is none of today, ``PreflightError`` for a host
    that does not do, and as ``plan_upgrade``.
    """
    refuse_half_restored(paths)
    found = plan_upgrade(paths, request.bundle)
    if found.refusal is not None:
        raise RefusedError(found.refusal, found.hint)
    files = site_files(paths, request.config)
    check_same_name(paths, files)
    check_judged(paths, files.config)
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
    installation does, ``RefusedError`` where the site's policy refuses a model of the new release or the bundle is
    another than ``found``: nothing is changed then, and the site has learnt of nothing.
    """
    files = site_files(paths, request.config)
    with site_lock(paths):
        if active_version(paths) not in (found.before, found.after):
            raise UsageError("another release was put in force meanwhile", "upgrade again")

        def accept(release: VerifiedRelease) -> None:
            """Before the site learns that there is such a release: what it cannot put in force ends no older one."""
            if release.digest != found.digest:
                raise RefusedError(
                    f"{request.bundle} holds another release now", "look at the medium, and upgrade again"
                )
            check_data(paths, release)
            judge_models(Context(paths, files, release, Vault(paths, passphrase), choose_python() or Path()))

        release = admit(request.bundle, paths, None, progress, accept)
        return put_in_force(paths, files, release, passphrase=passphrase, observer=observer)
