"""What a command about packs wrote, brought to the gateways: at once on a host, which reads the very files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.cluster.packs import publish
from appliance.cluster.reached import ReachedPaths

if TYPE_CHECKING:
    from appliance.site.paths import SitePaths


def served(paths: SitePaths) -> None:
    """Return once every gateway has what lies in the site's packs. Raises as ``cluster.packs.publish``."""
    if isinstance(paths, ReachedPaths):
        publish(paths.reach, paths.packs)
