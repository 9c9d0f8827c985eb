"""New certificates for a cluster: the edge's and the links' here, Kubernetes' own on the control plane."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from airgap_bundle.store import Store
from appliance.cluster.acts import Acting, in_force
from appliance.cluster.install import Wanted, put_in_force
from appliance.cluster.lasting import refuse_moved
from appliance.errors import UsageError
from appliance.install.backup.mark import refuse_half_restored
from appliance.install.lock import site_lock
from appliance.install.site_files import read_cluster_files
from appliance.install.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.cluster.install import Installed
    from appliance.cluster.playbook import Watch
    from appliance.cluster.standing import Standing
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase


def renew(
    paths: SitePaths, known: Standing, *, watch: Watch, passphrase: Passphrase, enter: Sequence[str] = ()
) -> Installed:
    """Renew every certificate but the authorities', and start what shows them; the release stays.

    The site key is opened before anything changes. Interrupted, the next renewal or installation goes on: a certificate
    that is not there is issued, and a host that began to renew its own is marked. Raises as an installation does, and
    ``UsageError`` where none went through yet.
    """
    refuse_half_restored(paths)
    if not known.state.release:
        raise UsageError("no installation of the cluster went through yet", "run `sovereign install` first")
    if known.state.way is not None:
        raise UsageError(f"a way to release {known.state.way.heading} was cut off", known.state.onward())
    refuse_moved(known.state, known.described)
    with site_lock(paths), Acting(paths, known.described, known.source.parent, enter) as acting:
        store = Store(paths.store)
        release = store.open_record(store.record(known.state.release))
        files = read_cluster_files(known.source, known.described) if known.described.assistant is not None else None
        wanted = Wanted(known.described, known.source, release, files, {"control_plane_renew": True}, anew=True)
        secret = cache(passphrase)  # it is asked for once
        if files is not None:
            Vault(paths, secret).store()  # a passphrase that does not open it is refused before anything is begun
        acting.begin("renew", in_force(paths), in_force(paths))
        done = put_in_force(paths, wanted, watch=watch, passphrase=secret, enter=enter)
    return replace(done, unlogged=acting.unlogged)
