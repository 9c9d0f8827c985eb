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
from typing import TYPE_CHECKING, TypeVar

from airgap_bundle.digest import sha256
from airgap_bundle.errors import BundleError, StoreError
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.events import admin_change
from appliance.audit.roles import OPERATOR
from appliance.errors import DeploymentError, SovereignError, UsageError
from appliance.install.backup.creating import Created, create_backup
from appliance.install.backup.keeping import folder_name, older, remove, set_aside
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
    from appliance.install.vault import Vault
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

    Advance = Callable[[int, int], None]

_T = TypeVar("_T")


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
    made: Path | None = None
    patience = patience or Patience()
    try:
        folder, created, site_key = _made(config, paths, vault, advance, patience)
        made = folder
        removed = patience.until_free(lambda: _pruned(config, paths, folder, site_key))
    except (SovereignError, BundleError) as error:
        _noted(paths, Ran(_now(), str(made) if made else None, error.cause))
        _enter_failure(paths, str(made or (config.backup and config.backup.out)), error.cause)
        raise
    _noted(paths, Ran(_now(), str(folder)))
    return Kept(folder, created, removed)


def _made(
    config: SiteConfig, paths: SitePaths, vault: Vault, advance: Advance, patience: Patience
) -> tuple[Path, Created, PublicSigner]:
    plan = config.backup
    if plan is None:
        raise UsageError("site.yaml declares no backup", "docs/reference/site.md describes it")
    if found := faults(plan, paths):
        raise UsageError("; ".join(found), "mount what is missing; nothing was changed")
    recipients = [load_recipient(paths.policies / FOLDER / Path(name).name) for name in plan.recovery_keys]
    former = last_backup(paths)
    site_key = patience.until_free(lambda: site_signer(paths, vault, config.name)).public
    out, apart = Path(plan.out), Path(plan.subject_keys)

    def make() -> tuple[Path, Created]:
        folder = out / folder_name(datetime.now(UTC))
        created = create_backup(
            paths, out=folder, subject_keys=apart, recipients=recipients, vault=vault, advance=advance
        )
        return folder, created

    folder, created = patience.until_free(make)
    try:
        for one in (folder, apart):
            _forget_cached(one)
        open_pair(folder, apart, [site_key], lambda _done, _all: None)
    except (SovereignError, BundleError, OSError) as error:
        put_back(paths, former)
        why = error.strerror if isinstance(error, OSError) else error.cause
        aside = set_aside(folder)
        raise DeploymentError(
            f"the new backup cannot be read again: {why}; it lies in {aside}", "look at the medium; older ones are kept"
        ) from error
    return folder, created, site_key


def _pruned(config: SiteConfig, paths: SitePaths, folder: Path, site_key: PublicSigner) -> tuple[Path, ...]:
    assert config.backup is not None
    with site_lock(paths):
        gone = older(folder.parent, [site_key], folder, config.backup.keep)
        remove(folder.parent, gone)
    return gone


def _forget_cached(folder: Path) -> None:
    """Have the kernel drop what it holds of the files, which are durable: what is read next comes from the medium."""
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _enter_failure(paths: SitePaths, target: str, cause: str) -> None:
    event = admin_change(
        actor=f"uid {os.getuid()}", action="read", kind="backup", target=target, success=False, detail=cause
    )
    with suppress(AuditUnavailableError), SyncAuditClient(paths.socket(AUDIT)) as audit:
        audit.append(event, id=OPERATOR.id("backup", sha256(f"{_now()} {cause}".encode()).hex))


def _noted(paths: SitePaths, ran: Ran) -> None:
    with suppress(StoreError):  # `status` then warns that a backup that was due is not known
        note_run(paths, ran)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
