"""A backup as site.yaml says it, with nobody there: the folders looked at, made, read again, then older ones removed.

It waits, within bounds, while another command changes the site. However it ends, `status` can tell; a failure is in the
audit log as well, and its cause is raised, so that whatever ran it sees it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from airgap_bundle.digest import sha256
from airgap_bundle.errors import BundleError, StoreError
from appliance.audit.client import SyncAuditClient
from appliance.audit.events import admin_change
from appliance.audit.roles import OPERATOR
from appliance.errors import DeploymentError, SovereignError, UsageError
from appliance.install.backup.creating import Created, create_backup
from appliance.install.backup.keeping import alone_in, folder_name, older, remove, set_aside
from appliance.install.backup.last import last_backup, put_back
from appliance.install.backup.places import faults
from appliance.install.backup.recovery_key import FOLDER, load_recipient
from appliance.install.backup.restoring import open_pair
from appliance.install.backup.runs import Ran, note_run
from appliance.install.lock import SiteBusyError, site_lock
from appliance.install.site_identity import site_signer
from appliance.site.paths import AUDIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from airgap_bundle.keys import PublicSigner
    from appliance.audit.ocsf import Event
    from appliance.install.vault import Vault
    from appliance.site.backups import Backups
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

    Advance = Callable[[int, int], None]

_T = TypeVar("_T")
_MOST_CAUSE = 2000


@dataclass(frozen=True)
class Patience:
    """How long to wait for other commands, and how often to look, in seconds."""

    most: float = 1800.0
    between: float = 5.0

    def until_free(self, act: Callable[[], _T]) -> _T:
        """What ``act`` gives, begun anew while the site is busy. Raises ``SiteBusyError`` when it stays so."""
        end = time.monotonic() + self.most
        while True:
            try:
                return act()
            except SiteBusyError:
                if time.monotonic() >= end:
                    raise
            time.sleep(self.between)


@dataclass(frozen=True)
class Kept:
    """A backup that was made and read again, and the older ones that went for it."""

    folder: Path
    created: Created
    removed: tuple[Path, ...]


def back_up(
    config: SiteConfig, paths: SitePaths, *, vault: Vault, advance: Advance, patience: Patience | None = None
) -> Kept:
    """Back up as ``config.backup`` says. Raises ``UsageError`` for folders that do not do, and as ``create_backup``.

    Where the new backup cannot be read again, no older one is removed, and it does not count as one.
    """
    run = _Run(config, paths, vault, advance, patience or Patience())
    try:
        folder, created, site_key = run.make()
        removed = run.patience.until_free(lambda: run.prune(folder, site_key))
    except (SovereignError, BundleError, OSError) as error:
        _failed(paths, run, _cause(error))
        if isinstance(error, OSError):
            raise DeploymentError(_cause(error), "look at the media, and at what uses them") from error
        raise
    _noted(paths, Ran(_now(), str(folder)))
    return Kept(folder, created, removed)


@dataclass
class _Run:
    """One run; ``made`` is the new backup once it was read again."""

    config: SiteConfig
    paths: SitePaths
    vault: Vault
    advance: Advance
    patience: Patience
    made: Path | None = None

    def make(self) -> tuple[Path, Created, PublicSigner]:
        plan = self._plan()
        recipients = [load_recipient(self.paths.policies / FOLDER / Path(name).name) for name in plan.recovery_keys]
        former, out, apart = last_backup(self.paths), Path(plan.out), Path(plan.subject_keys)
        site_key = self.patience.until_free(lambda: site_signer(self.paths, self.vault, self.config.name)).public

        def make() -> tuple[Path, Created]:
            self._plan()  # once more: while this waited, a medium may have been taken out
            folder = out / folder_name(datetime.now(UTC))
            with alone_in(out):
                created = create_backup(
                    self.paths,
                    out=folder,
                    subject_keys=apart,
                    recipients=recipients,
                    vault=self.vault,
                    advance=self.advance,
                )
            return folder, created

        folder, created = self.patience.until_free(make)
        try:
            for one in (folder, apart):
                _forget_cached(one)
            open_pair(folder, apart, [site_key], lambda _done, _all: None)
        except (SovereignError, BundleError, OSError) as error:
            aside = set_aside(folder)
            put_back(self.paths, former)
            raise DeploymentError(
                f"the new backup cannot be read again: {_cause(error)}; it lies in {aside}",
                "look at the medium; older ones are kept",
            ) from error
        self.made = folder
        return folder, created, site_key

    def prune(self, folder: Path, site_key: PublicSigner) -> tuple[Path, ...]:
        """Remove what the plan does not keep. The log knows before anything goes: what is not logged is not done."""
        with site_lock(self.paths), alone_in(folder.parent):
            gone = older(folder.parent, [site_key], folder, self._plan().keep)
            if gone:
                names = ", ".join(one.name for one in gone)
                _enter(self.paths, _event("delete", str(folder.parent), detail=f"older than those that stay: {names}"))
            remove(folder.parent, gone)
        return gone

    def _plan(self) -> Backups:
        plan = self.config.backup
        if plan is None:
            raise UsageError("site.yaml declares no backup", "docs/reference/site.md describes it")
        if found := faults(plan, self.paths):
            raise UsageError("; ".join(found), "mount what is missing; nothing was changed")
        return plan


def _forget_cached(folder: Path) -> None:
    """Have the kernel drop what it holds of the files, which are durable: what is read next comes from the medium."""
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _cause(error: SovereignError | BundleError | OSError) -> str:
    """Bounded, since the log and `status` keep it."""
    told = f"{error.filename or 'a medium'}: {error.strerror}" if isinstance(error, OSError) else error.cause
    return told[:_MOST_CAUSE]


def _failed(paths: SitePaths, run: _Run, cause: str) -> None:
    plan = run.config.backup
    _noted(paths, Ran(_now(), str(run.made) if run.made else None, cause))
    target = str(run.made or (plan.out if plan else paths.root))
    with suppress(SovereignError):  # the first cause is the one to tell
        _enter(paths, _event("read", target, success=False, detail=cause))


def _event(action: Literal["read", "delete"], target: str, *, detail: str, success: bool = True) -> Event:
    actor = f"uid {os.getuid()}"
    return admin_change(actor=actor, action=action, kind="backup", target=target, success=success, detail=detail)


def _enter(paths: SitePaths, event: Event) -> None:
    """Into the audit log. Raises ``AuditUnavailableError``, or why it is refused."""
    with SyncAuditClient(paths.socket(AUDIT)) as audit:
        audit.append(event, id=OPERATOR.id("backup", sha256(os.urandom(16)).hex))


def _noted(paths: SitePaths, ran: Ran) -> None:
    with suppress(StoreError):  # `status` then warns that a backup that was due is not known
        note_run(paths, ran)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
