"""Takes a cluster away: every host becomes what it was, then what was kept here of it goes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.cluster.playbook import run
from appliance.install.lock import site_lock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from appliance.cluster.playbook import Watch
    from appliance.cluster.standing import Standing
    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class Removed:
    """What went away: the site root here, and the appliance on these hosts."""

    root: Path
    hosts: tuple[str, ...]


def uninstall(paths: SitePaths, known: Standing, *, watch: Watch, enter: Sequence[str] = ()) -> Removed:
    """Remove the appliance from every host that it was on, and the site root. Safe to repeat.

    A host with another site's mark is left alone. Raises ``DeploymentError`` for the first host that could not be
    cleaned; the others are, and keys and state stay here until all are.
    """
    with site_lock(paths):
        run("removal.yml", known.inventory(), watch, enter=enter)
        hosts = tuple(host.name for host in known.state.hosts)
        for child in sorted(paths.root.iterdir(), key=lambda path: path == paths.cluster_state.parent):
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            else:
                child.unlink()
    paths.root.rmdir()
    return Removed(paths.root, hosts)
