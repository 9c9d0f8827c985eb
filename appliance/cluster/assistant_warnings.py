"""What `status` of a cluster warns of besides hosts and pods: packs, nights, folders and weights, as a host's does."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from appliance.cluster.reached import reached_site
from appliance.errors import UsageError
from appliance.install import brief_runs, document_syncs
from appliance.install.brief_runs import brief_warnings
from appliance.install.document_syncs import sync_warnings
from appliance.install.gate_warnings import WEIGHTS, gate_warnings
from appliance.install.probe import Probe
from appliance.install.status_warnings import pack_warnings
from appliance.site.load import load_site
from appliance.site.paths import GATEWAY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from appliance.cluster.reached import ReachedPaths
    from appliance.site.paths import SitePaths


def assistant_warnings(paths: SitePaths, now: datetime, *, enter: Sequence[str] = ()) -> tuple[str, ...]:
    """Things to act on; none of a cluster without an assistant. The gateway is asked where a pack or a gate was."""
    with suppress(UsageError), reached_site(paths, enter) as found:
        config = load_site(found.site_yaml)
        warned = (
            *sync_warnings(config, document_syncs.last(found), now),
            *brief_warnings(config, brief_runs.last(found), now),
            *gate_warnings(config, found, _of_gateway(found, WEIGHTS)),
        )
        if not found.packs.is_dir():
            return warned
        return (*warned, *pack_warnings(config, found, now, _of_gateway(found, "/packs")))
    return ()


def _of_gateway(found: ReachedPaths, path: str) -> Probe:
    return Probe("unix-http", str(found.socket(GATEWAY)), path, found.patience_s)
