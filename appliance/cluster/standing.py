"""A cluster that was installed from here, as what is asked of it later needs it: who it is, and how to enter it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.cluster.inventory import Site, entrance
from appliance.cluster.settings import read_settings
from appliance.cluster.state import ClusterState, read_state
from appliance.errors import UsageError
from appliance.site.load import load_cluster_site

if TYPE_CHECKING:
    from appliance.site.cluster import ClusterSite
    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class Standing:
    """``state`` is of the last run, ``described`` the site file that it named, as it is now."""

    state: ClusterState
    described: ClusterSite

    @property
    def source(self) -> Path:
        """The site file."""
        return Path(self.state.site_file)

    def touched(self) -> Standing:
        """The same without hosts that the site file has and no run has touched."""
        known = {host.name for host in self.state.hosts}
        cluster = self.described.cluster
        hosts = tuple(host for host in cluster.hosts if host.name in known)
        described = self.described.model_copy(update={"cluster": cluster.model_copy(update={"hosts": hosts})})
        return replace(self, described=described)

    def inventory(self, **options: Any) -> dict[str, Any]:
        """Ansible's inventory for looking at the hosts and leaving them; hosts of earlier runs are in it, too."""
        site = Site(self.described.name, self.state.identity, self.source.parent)
        left = self.state.leaving(self.described.cluster.hosts)
        return entrance(site, self.described.cluster, {**read_settings(self.described, self.source), **options}, left)


def is_cluster(paths: SitePaths) -> bool:
    """Whether a cluster was installed, or begun, from this site root."""
    return paths.cluster_state.exists()


def standing(paths: SitePaths) -> Standing:
    """What is known of the cluster. Raises ``UsageError``, ``SiteFileError``; ``DeploymentError`` for damaged state."""
    state = read_state(paths.cluster_state)
    if state is None:
        raise UsageError("no cluster was installed from here", "name the site's root with --site")
    source = Path(state.site_file)
    if not source.exists():
        raise UsageError(f"{source} is gone, which says how the hosts are entered", "put the site file back there")
    return Standing(state, load_cluster_site(source))
