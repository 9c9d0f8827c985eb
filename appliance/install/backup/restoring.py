"""A site from its backup, on a host that has none: the installation's own steps, with the backup's data between them.

Order: both folders and the recovery key (every byte checked) → the host → the bundle, of the digest that the backup
names, under the root that the site first pinned → steps. People's pages are served last: after the log was verified
against the backup's statement, and after every erasure that it tells of, or a later copy of it, was made again. Killed
at any point, it goes on when it is run again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle import durable
from airgap_bundle.digest import sha256
from airgap_bundle.media.disk import check_room
from airgap_bundle.media.opening import open_bundle
from airgap_bundle.metadata import RELEASE_FILE
from airgap_bundle.oci import MAX_DOCUMENT_BYTES
from airgap_bundle.trust_state import TrustState
from appliance.errors import DeploymentError, RefusedError
from appliance.install.admission import admit_again, check_is_bundle, inspect_again
from appliance.install.backup.contents import unpack
from appliance.install.backup.folder import Backup, open_folder
from appliance.install.backup.mark import check_free, check_later, mark
from appliance.install.backup.restored import Source, restore_steps
from appliance.install.backup.statement import BACKUP_TYPE, SITE, SUBJECT_KEYS_TYPE
from appliance.install.host import Installed, put_in_force
from appliance.install.lock import site_lock
from appliance.install.preflight.report import check_host
from appliance.install.site_files import SiteFiles, read_site_files
from appliance.site.paths import SitePaths
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airgap_bundle.keys import PublicSigner
    from airgap_bundle.report import Report
    from appliance.audit.later import LaterLog
    from appliance.install.backup.recovery_key import RecoveryKey
    from appliance.install.backup.restored import Erase
    from appliance.install.preflight.report import PreflightReport
    from appliance.install.runner import Advance, Observer
    from appliance.site.site_key import Passphrase


@dataclass(frozen=True)
class Pair:
    """Both folders of a backup, verified: the subject keys are those of the backup, or of a later one."""

    main: Backup
    subject_keys: Backup


def open_pair(
    folder: Path, subject_keys: Path, site_keys: Sequence[PublicSigner], progress: Callable[[int, int], None]
) -> Pair:
    """Verify both folders. Raises as ``open_folder``, and ``RefusedError`` where they do not belong together."""
    pair = Pair(
        open_folder(folder, BACKUP_TYPE, site_keys, progress),
        open_folder(subject_keys, SUBJECT_KEYS_TYPE, site_keys, lambda _done, _total: None),
    )
    main, apart = pair.main.statement, pair.subject_keys.statement
    if main.site != apart.site:
        raise RefusedError(
            f"the backup is of {main.site}, the subject keys are of {apart.site}", "name those of one site"
        )
    if apart.log_size < main.log_size:
        cause = f"the subject keys, of {apart.made:%Y-%m-%d %H:%M}, are older than the backup"
        raise RefusedError(cause, "give those of this backup or of a later one: who was erased stays erased")
    if main.log_size < apart.log_pruned:
        cause = "since the backup the log was pruned beyond it, and who was erased then is not known any more"
        raise RefusedError(cause, "give a later backup")
    return pair


@dataclass(frozen=True)
class Plan:
    """What a restore would find; nothing was changed."""

    preflight: PreflightReport
    bundle: Report


def plan(paths: SitePaths, pair: Pair, key: RecoveryKey, bundle: Path, later: LaterLog | None = None) -> Plan:
    """Check root, host and bundle against what the backup holds. Nothing is changed. Raises as ``restore``."""
    _refuse_cluster(pair)
    check_free(paths, pair.main.digest)
    check_later(paths, later)
    check_release(bundle, pair)
    with staged_site(pair, key) as staged:
        return Plan(check_host(_files(staged), paths, bundle), inspect_again(bundle, paths, pinned(staged)))


def restore(  # noqa: PLR0913 - what a restore is made of, by keyword
    paths: SitePaths,
    pair: Pair,
    key: RecoveryKey,
    bundle: Path,
    *,
    passphrase: Passphrase,
    erase: Erase,
    observer: Observer,
    progress: Advance,
    later: LaterLog | None = None,
) -> Installed:
    """Bring the site of ``pair`` back at ``paths``, in the release of ``bundle``, which must be the backup's.

    Whom ``later`` names is erased again, as whom the backup's log names. Raises ``UsageError`` where a
    site is, or ``later`` falls behind an earlier run's, ``RefusedError`` for another release or a backup that does not
    open, and as an installation does. Before the bundle was accepted nothing was changed.
    """
    _refuse_cluster(pair)
    with site_lock(paths), staged_site(pair, key) as staged:
        check_free(paths, pair.main.digest)
        check_later(paths, later)
        check_release(bundle, pair)
        files = _files(staged)
        check_host(files, paths, bundle).demand()
        check_room_of(paths, pair)
        demand_bundle(inspect_again(bundle, paths, pinned(staged)))
        mark(paths, pair.main.digest, later)
        _place(staged, paths)
        learnt = staged.root.with_name("learnt")
        release = admit_again(bundle, learnt, paths.store, pinned(staged), progress)
        source = Source(pair.main, pair.subject_keys, key, later)
        return put_in_force(
            paths,
            files,
            release,
            passphrase=passphrase,
            observer=observer,
            steps=lambda context: restore_steps(context, source, erase),
        )


def _refuse_cluster(pair: Pair) -> None:
    if pair.main.statement.of_cluster:
        raise RefusedError(
            "it is a backup of a cluster, and this is a single host", "name the cluster's site file with --config"
        )


def _files(staged: SitePaths) -> SiteFiles:
    return read_site_files(staged.site_yaml, staged)


def pinned(staged: SitePaths) -> str:
    """The root that the site pinned when it was first installed."""
    return str(TrustState.load(staged.trust).pinned)


def check_release(bundle: Path, pair: Pair) -> None:
    """By the digest of what says which release it is. Whether that is signed is for ``inspect`` and ``admit``."""
    check_is_bundle(bundle)
    with open_bundle(bundle) as medium:
        found = sha256(medium.read(RELEASE_FILE, MAX_DOCUMENT_BYTES))
    if found != pair.main.statement.release_digest:
        wanted = pair.main.statement.release
        cause = f"the bundle is not release {wanted} as it was backed up"
        raise RefusedError(cause, f"restore with the bundle of {wanted}, then upgrade to a newer one")


def demand_bundle(report: Report) -> None:
    """Raise ``RefusedError`` for a bundle that verification refuses."""
    if not report.ok:
        raise RefusedError("the bundle is refused", "`sovereign bundle verify` says why; nothing was changed")


def check_room_of(paths: SitePaths, pair: Pair) -> None:
    """Databases and log take more room than their sealed dumps: three times as much is taken for enough."""
    place = next(folder for folder in (paths.root, *paths.root.parents) if folder.exists())
    check_room(place, 3 * sum(file.size for file in pair.main.statement.files))


@contextmanager
def staged_site(pair: Pair, key: RecoveryKey) -> Iterator[SitePaths]:
    """The backup's site files in a private folder, as if that were the site's; gone at the end."""
    try:
        with tempfile.TemporaryDirectory(prefix="sovereign-restore-") as folder:
            files = Path(folder, "site")
            with pair.main.open(SITE, key) as source:
                unpack(source, files)
            yield SitePaths(files)
    except OSError as error:
        cause = f"{error.filename or 'the host'}: {(error.strerror or str(error)).lower()}"
        raise DeploymentError(cause, "mend that and run it again; it goes on where it stopped") from error


def put_back(source: Path, target: Path) -> None:
    """The folder ``source`` as ``target``, whole or absent; what is there already stays."""
    if target.exists() or not source.exists():
        return
    part = target.with_name(f"{target.name}{durable.PARTIAL}")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part)
    os.sync()
    part.rename(target)
    durable.sync_directory(target.parent)


def _place(staged: SitePaths, paths: SitePaths) -> None:
    """What must be there before the first step: trust with its floors, certificates, packs, the install journal.

    Each is whole or absent, the journal comes last. What is there is of an earlier run, which went further.
    """
    for source, target in ((staged.trust, paths.trust), (staged.tls, paths.tls), (staged.packs, paths.packs)):
        put_back(source, target)
    put_back_state(staged, paths)


def put_back_state(staged: SitePaths, paths: SitePaths) -> None:
    """The install journal, which comes last, what the log was told of it, and the records that lie beside it."""
    paths.journal.parent.mkdir(mode=0o700, exist_ok=True)
    for name in (paths.exchange.name, paths.judged.name, "spooled.json", paths.journal.name):
        source, target = staged.journal.with_name(name), paths.journal.with_name(name)
        if source.exists() and not target.exists():
            write_private(target, source.read_bytes())
