"""A cluster from its backup: the installation's own roles, in three runs with the backup's data between them.

Order: both folders and the recovery key (every byte checked) → root, hosts and bundle → trust, state and keys on this
machine → hosts, API and an empty database; of the assistant nothing else runs → dumps and log → Keycloak and the
log's writer, which nobody but this machine reaches → who was erased is erased again → edge and gateway. What is done
is noted; killed at any point, it goes on when it is run again. Of etcd's snapshot nothing is used: the API's objects
are made. That it was done is an act in the log that it brings (`cluster.acts`), once that is on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appliance.cluster.acts import Acting
from appliance.cluster.backup import progress as steps
from appliance.cluster.backup.databases import PodServer
from appliance.cluster.backup.ground import check_root, check_state_host
from appliance.cluster.backup.progress import Progress, forget_progress, read_progress, write_progress
from appliance.cluster.backup.restored import Run, erase_again, lay_log, load_databases, place
from appliance.cluster.install import Installed, Wanted, put_in_force
from appliance.cluster.reach import Reach
from appliance.cluster.settings import read_settings
from appliance.cluster.state import read_state
from appliance.errors import RefusedError, UsageError
from appliance.install.act_record import BACKUP, LATER_LOG, Release
from appliance.install.admission import admit_again, inspect_again
from appliance.install.backup.mark import check_later, restoring_from, unmark, write_mark
from appliance.install.backup.restoring import (
    check_release,
    check_room_of,
    demand_bundle,
    pinned,
    staged_site,
)
from appliance.install.lock import site_lock
from appliance.install.site_files import read_cluster_files
from appliance.install.vault import Vault
from appliance.site.load import load_cluster_site

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airgap_bundle.report import Report
    from appliance.audit.later import LaterLog
    from appliance.cluster.backup.restored import Erase
    from appliance.cluster.playbook import Watch
    from appliance.cluster.state import ClusterState
    from appliance.install.backup.recovery_key import RecoveryKey
    from appliance.install.backup.restoring import Pair
    from appliance.install.runner import Advance
    from appliance.site.cluster import ClusterSite
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase

DATABASE_CHARTS = ("policies", "postgresql")
DOOR_CHARTS = ("policies", "keycloak", "audit")
"""What erasing needs, and nobody reaches from outside: the edge comes with the rest."""


@dataclass(frozen=True)
class Plan:
    """What a restore would begin with: the bundle's verdict, and the host that gets the state. Nothing was changed."""

    bundle: Report
    state_host: str


def plan(  # noqa: PLR0913 - as ``restore``
    paths: SitePaths,
    pair: Pair,
    key: RecoveryKey,
    bundle: Path,
    config: Path,
    *,
    later: LaterLog | None = None,
    enter: Sequence[str] = (),
) -> Plan:
    """Check root, bundle and the host of the state against what the backup holds. Raises as ``restore``."""
    described = load_cluster_site(config)
    with staged_site(pair, key) as staged:
        _check(paths, pair, staged, described, bundle)
        check_later(paths, later)
        if restoring_from(paths) is None:
            check_state_host(Reach(described.cluster, config.resolve().parent, enter), described.state_host)
        return Plan(inspect_again(bundle, paths, pinned(staged)), described.state_host)


def restore(  # noqa: PLR0913 - what a restore is made of, by keyword
    paths: SitePaths,
    pair: Pair,
    key: RecoveryKey,
    bundle: Path,
    config: Path,
    *,
    watch: Watch,
    progress: Advance,
    passphrase: Passphrase,
    erase: Erase,
    later: LaterLog | None = None,
    enter: Sequence[str] = (),
) -> Installed:
    """Bring the cluster of ``pair`` back on the hosts of ``config``, in the release of ``bundle``, the backup's.

    Whom ``later`` names is erased again, as whom the backup's log names. Raises ``UsageError`` where another
    site is, or ``later`` falls behind an earlier run's, ``RefusedError`` for another release, a backup that does not
    open and hosts that hold a state, ``LogInconsistentError`` for a log that is not what the statement names, and as an
    installation does. Before bundle and root were accepted nothing was changed; before the preflight, no host.
    """
    source = config.resolve()
    described = load_cluster_site(source)
    read_settings(described, source)
    acting = Acting(paths, described, source.parent, enter)
    with site_lock(paths), staged_site(pair, key) as staged, acting:
        state = _check(paths, pair, staged, described, bundle)
        check_later(paths, later)
        files = read_cluster_files(source, described)
        check_room_of(paths, pair)
        demand_bundle(inspect_again(bundle, paths, pinned(staged)))
        reach = Reach(described.cluster, source.parent, enter)
        begun = _begin(paths, pair, state, reach, described, later)
        vault = Vault(paths, passphrase)
        run = Run(paths, pair, key, begun, watch, later)
        run.step(
            steps.PLACED,
            "trust, state and keys of this machine",
            lambda: place(run, staged, state, vault, reach, source, described.state_host),
        )
        release = admit_again(bundle, staged.root.with_name("learnt"), paths.store, pinned(staged), progress)
        wanted = Wanted(described, source, release, files, restored=True)
        after = Release(release.version, str(release.digest))
        told = {LATER_LOG: str(later)} if later else {}
        acting.begin("restore", Release(), after, {BACKUP: str(pair.main.digest), **told})

        def bring(wanted: Wanted) -> Installed:
            return put_in_force(paths, wanted, watch=watch, passphrase=passphrase, enter=enter)

        first = replace(wanted, charts=DATABASE_CHARTS, playbook="restoring.yml")
        run.step(steps.HOSTS, "hosts, and an empty database", lambda: bring(first))
        running = PodServer(reach, vault.store())
        run.step(steps.DATABASES, "conversations, people and sign-in", lambda: load_databases(run, running))
        run.step(steps.LOG, "audit log, verified", lambda: lay_log(run, reach, described.state_host))
        doors = replace(wanted, charts=DOOR_CHARTS, playbook="assistant.yml")
        run.step(steps.DOORS, "sign-in and the log's writer, for this machine alone", lambda: bring(doors))
        run.step(
            steps.ERASED,
            "who was erased before is erased again",
            lambda: erase_again(run, reach, described, vault, erase),
        )
        done = bring(wanted)
        unmark(paths)
        forget_progress(paths)
    return replace(done, unlogged=acting.unlogged)


def _check(paths: SitePaths, pair: Pair, staged: SitePaths, described: ClusterSite, bundle: Path) -> ClusterState:
    """What the backup knows of its cluster; raises where ``paths`` or the site file are not of it."""
    told = pair.main.statement
    state = read_state(staged.cluster_state)
    if state is None or not told.of_cluster:
        raise RefusedError("it is a backup of a single host", "restore it there, without --config")
    if described.name != told.site:
        raise RefusedError(f"the backup is of {told.site}, the site file of {described.name}", "name the site's own")
    if described.assistant is None:
        raise UsageError("the site file has no assistant, whose backup it is", "write that part as it was backed up")
    check_root(paths, pair.main.digest, state, told.release)
    check_release(bundle, pair)
    return state


def _begin(  # noqa: PLR0913, PLR0917 - what a beginning is judged by
    paths: SitePaths,
    pair: Pair,
    state: ClusterState,
    reach: Reach,
    described: ClusterSite,
    later: LaterLog | None,
) -> Progress:
    """The mark, and how far an earlier run came.

    The host of the state is looked at before the mark, when nothing of this restore can lie there, and stays the same.
    """
    kept = check_root(paths, pair.main.digest, state, pair.main.statement.release)
    known = read_progress(paths) if restoring_from(paths) is not None else None
    address = next(host.address for host in described.cluster.hosts if host.name == described.state_host)
    place = f"{described.state_host} ({address})"
    if known is None:
        check_state_host(reach, described.state_host)
        known = Progress(pair.main.digest, pair.subject_keys.digest, kept, place)
        write_progress(paths, known)
        write_mark(paths, pair.main.digest, later)
    if known.state_host != place:
        raise RefusedError(
            f"the state is on its way back to {known.state_host}, and the site file has it on {place}",
            "name that host again; or `sovereign uninstall`, and restore anew",
        )
    if later is not None:
        write_mark(paths, pair.main.digest, later)
    known = known.on_with(pair.subject_keys.digest, later.root if later else "")
    write_progress(paths, known)
    return known
