"""`sovereign rollback` on a cluster: to a release that was in force, from the administrator's own store.

As on a host, data stay as they are; and Kubernetes goes back where it can, within a minor version and with the same
etcd. Where it cannot, the release is refused before anything is touched (ADR 117).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airgap_bundle.reactivation import reactivate
from airgap_bundle.store import Store
from airgap_bundle.trust_state import TrustState
from appliance.cluster.acts import Acting, in_force
from appliance.cluster.install import put_in_force, site_of
from appliance.cluster.standing import standing
from appliance.cluster.versions import cannot_return
from appliance.cluster.way import versions_in
from appliance.errors import RefusedError, UsageError
from appliance.install.act_record import Release
from appliance.install.backup.mark import refuse_half_restored
from appliance.install.lock import site_lock
from appliance.install.release_change import held, unreadable
from appliance.install.rollback import RESTORE, Return, before, returns_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airgap_bundle.store_record import Record
    from appliance.cluster.install import Installed
    from appliance.cluster.playbook import Watch
    from appliance.cluster.state import ClusterState
    from appliance.install.runner import Advance
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase


def returns(paths: SitePaths) -> tuple[Return, ...]:
    """Every release that was in force on the cluster, by number. Changes nothing; blobs are not read."""
    state = _installed(standing(paths).state)
    store = Store(paths.store)
    return returns_of(
        store, TrustState.load(paths.trust), state.release, state.ran, lambda record: _why(store, state, record)
    )


def roll_back(  # noqa: PLR0913 - what a rollback is made of, by keyword
    paths: SitePaths,
    version: str | None,
    *,
    config: Path | None = None,
    watch: Watch,
    progress: Advance,
    passphrase: Passphrase,
    enter: Sequence[str] = (),
) -> Installed:
    """Put ``version`` in force again; by default the newest before the one in force that can be gone back to.

    After an upgrade that was cut off that is the one in force itself, and a rollback that was cut off is gone on with.
    Raises ``UsageError`` where it never ran here, ``RefusedError`` where it cannot read what is there, Kubernetes
    cannot go back, or a way to other releases is not whole, as ``reactivate``, and as an installation does.
    """
    refuse_half_restored(paths)
    known = standing(paths)
    site = site_of(known, config)
    with site_lock(paths), Acting(paths, site.described, site.source.parent, enter) as acting:
        state = _installed(standing(paths).state)
        wanted = version or _default(paths, state)
        if state.way is not None and wanted not in (state.way.before, state.way.other):
            raise RefusedError(f"hosts are between release {state.way.before} and {state.way.other}", state.onward())
        store = Store(paths.store)
        release = reactivate(store, TrustState.load(paths.trust), wanted, progress, active=state.release)
        if wanted not in state.ran:
            raise UsageError(f"release {wanted} never ran here", "go to one that did, or upgrade with a bundle")
        if (why := _why(store, state, store.record(wanted))) is not None:
            raise RefusedError(f"release {wanted} cannot be gone back to: {why}", RESTORE)
        acting.begin("rollback", in_force(paths), Release(wanted, str(release.digest)))
        wished = replace(site.bringing(release), back=True)
        done = put_in_force(paths, wished, watch=watch, passphrase=passphrase, enter=enter)
    return replace(done, unlogged=acting.unlogged)


def _default(paths: SitePaths, state: ClusterState) -> str:
    """Where a rollback goes that names nothing: on with one that was cut off, else back."""
    if state.way is None:
        return before(returns(paths))
    return state.way.heading if state.way.back else state.release


def _installed(state: ClusterState) -> ClusterState:
    if not state.release:
        raise UsageError("no installation of the cluster went through yet", "run `sovereign install` first")
    return state


def _why(store: Store, state: ClusterState, record: Record) -> str | None:
    """Why the release of ``record`` cannot be gone back to; None: it can. A way that was begun counts as gone."""
    back, kubernetes = held(store.open_record(record)), versions_in(store, record.version)
    ends = (state.way.before, state.way.other) if state.way is not None else ()
    for version in {state.release, *ends} - {record.version}:
        now = held(store.open_release(version))
        why = unreadable(now, back) or cannot_return(versions_in(store, version), kubernetes)
        if why is not None:
            return why
    return None
