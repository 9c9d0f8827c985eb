"""Where a cluster can come back: on hosts that hold nobody's state, from a site root that is free or the site's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from appliance.cluster.backup.log import PLACE as LOG_PLACE
from appliance.cluster.reach import said
from appliance.cluster.seats import VOLUMES
from appliance.cluster.state import read_state
from appliance.errors import DeploymentError, RefusedError, UsageError
from appliance.install.backup.mark import restoring_from
from appliance.install.backup.statement import LOG

if TYPE_CHECKING:
    from airgap_bundle.digest import Digest
    from appliance.cluster.reach import Reach
    from appliance.cluster.state import ClusterState
    from appliance.site.paths import SitePaths

_HELD = f'for place in {VOLUMES}/postgresql/pg {LOG_PLACE}/{LOG}; do if [ -e "$place" ]; then echo "$place"; fi; done'
_WHOSE = "if [ -e /etc/kubernetes/admin.conf ]; then cat /etc/sovereign/site.json; fi"


def check_root(paths: SitePaths, backup: Digest, state: ClusterState, release: str) -> bool:
    """Whether this machine had the site of ``state`` before; False: its root is free, or a restore is under way.

    Raises ``UsageError`` where another site is, another backup is being restored, or a later release was installed.
    """
    before = restoring_from(paths)
    if before is not None and before != backup:
        raise UsageError(
            f"{paths.root} is being restored from another backup",
            f"go on with the one whose digest is {before}, or uninstall what is there",
        )
    known = read_state(paths.cluster_state)
    if before is not None:
        return False
    if known is None:
        if any(path.exists() for path in (paths.site_yaml, paths.journal, paths.store, paths.trust, paths.secrets)):
            raise UsageError(f"there is a site at {paths.root}", "name another root with --site")
        return False
    if known.identity != state.identity:
        raise UsageError(f"another cluster was installed from {paths.root}", "name another root with --site")
    if known.release != release:
        cause = f"{paths.root} is of release {known.release or 'none'}, the backup of {release}"
        raise UsageError(cause, "move it away and keep it, or name another root with --site; then restore")
    return True


def check_state_host(reach: Reach, host: str) -> None:
    """Raise ``RefusedError`` where a database or a log lies on ``host``, ``DeploymentError`` where it does not answer.

    Whose they are makes no difference: nothing that is there is replaced.
    """
    found = said(reach.on(host, "sh", "-c", _HELD)).decode(errors="replace").split()
    if found:
        raise RefusedError(
            f"{host} holds a site's state: {found[0]}",
            "where that is to go, run `sovereign uninstall` with the site root that it belongs to; else name another "
            "`state_host`",
        )


def survives(reach: Reach, identity: str) -> bool:
    """Whether the control plane of the very cluster still stands. One that does not answer is for the preflight."""
    try:
        told = said(reach.on(reach.member, "sh", "-c", _WHOSE))
        return bool(told) and bool(json.loads(told)["id"] == identity)
    except (DeploymentError, ValueError, KeyError, TypeError):
        return False
