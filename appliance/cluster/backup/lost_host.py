"""A host that had the state and that a restore leaves out: whether it has to stay switched off, and for how long.

Where the control plane is one host, the log's writer goes on while that does not answer (ADR 187). One that is cut off
would go on beside the restored one: nobody but who is told here can keep it from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.cluster.backup.site_part import GIVEN, SITE_FILE
from appliance.errors import UsageError
from appliance.install.backup.restoring import staged_site
from appliance.site.load import load_cluster_site

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.install.backup.recovery_key import RecoveryKey
    from appliance.install.backup.restoring import Pair
    from appliance.site.cluster import ClusterSite
    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class LostHost:
    """``host`` had the state. ``for_good``: the control plane is another, whose word would not reach it."""

    host: str
    address: str
    for_good: bool

    def __str__(self) -> str:
        """What is to be done, in one line."""
        until = "for good, or wipe its disk first" if self.for_good else "until this restore has ended"
        return (
            f"keep {self.host} ({self.address}) switched off {until}: "
            "cut off from the control plane, the log's writer there would go on beside the restored one"
        )


def lost_host(pair: Pair, key: RecoveryKey, config: Path) -> LostHost | None:
    """The host that had the state of ``pair`` where the site file ``config`` leaves it out. Raises as ``restore``."""
    described = load_cluster_site(config)
    with staged_site(pair, key) as staged:
        return _left_out(staged, described)


def _left_out(staged: SitePaths, described: ClusterSite) -> LostHost | None:
    """None also where three hosts are the control plane: the writer stops by itself when it cannot reach that."""
    given = staged.root / GIVEN / SITE_FILE
    if not given.is_file():
        return None
    try:
        before = load_cluster_site(given)
    except UsageError:  # its own release reads it; where another does not, that is told when the backup is refused
        return None
    members = before.cluster.control_plane
    host = next((one for one in before.cluster.hosts if one.name == before.state_host), None)
    now = {(one.name, one.address) for one in described.cluster.hosts}
    if host is None or len(members) > 1 or (host.name, host.address) in now:
        return None
    return LostHost(host.name, host.address, for_good=(members[0].name, members[0].address) not in now)
