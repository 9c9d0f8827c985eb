"""The hierarchy of memories of a cluster's site: what a host's operator sees, asked through the cluster's hosts.

One gateway and the engines beside it are asked: each gateway counts for itself, and what engines hold differs from pod
to pod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.cluster.reached import ASSISTANT
from appliance.errors import UnavailableError
from appliance.install.memory_status import engine_tiers, told_by
from appliance.install.probe import Probe
from appliance.memory.hierarchy import Silent
from appliance.site.load import load_site
from appliance.site.paths import GATEWAY, engine_service

if TYPE_CHECKING:
    from appliance.cluster.reached import ReachedPaths
    from appliance.engine.tiers import EngineTiers
    from appliance.install.memory_status import MemoryStatus


def cluster_memory_status(paths: ReachedPaths) -> MemoryStatus:
    """Ask everybody. Raises ``DeploymentError`` where no host answers."""
    config = load_site(paths.site_yaml)
    try:
        paths.reach.running(ASSISTANT)
    except UnavailableError:
        return told_by(config, None, lambda _: Silent("not_running"), up=False)

    def engine(model: str) -> EngineTiers | Silent:
        return engine_tiers(_probe(paths, engine_service(model)))

    return told_by(config, _probe(paths, GATEWAY), engine, up=True)


def _probe(paths: ReachedPaths, service: str) -> Probe:
    return Probe("unix-http", str(paths.socket(service)), "/memory", paths.patience_s)
