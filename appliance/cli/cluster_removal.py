"""`sovereign uninstall` of a cluster: what will be lost is said before anything is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from appliance.cli.cluster import TaskProgress
from appliance.cli.terminal import say
from appliance.cluster.removal import refuse, uninstall
from appliance.cluster.standing import standing
from appliance.errors import UsageError

if TYPE_CHECKING:
    from appliance.site.paths import SitePaths


def remove_cluster(paths: SitePaths, *, yes: bool) -> None:
    """Remove the appliance from every host of the cluster, and the site root here."""
    known = standing(paths)
    refuse(paths, known)
    names = ", ".join(f"{host.name} ({host.address})" for host in known.state.hosts)
    say(f"this removes the appliance from {names}, and what is the site's in {paths.root} from this machine")
    say(f"lost are conversations, the audit log and the database on {known.described.state_host}, and all keys here")
    if not yes and not typer.confirm("remove it all?", err=True):
        raise UsageError("not removed", "answer y, or give --yes")
    with TaskProgress() as tasks:
        gone = uninstall(paths, known, watch=tasks.watch)
    say(f"removed the site's files in {gone.root}, and the appliance from {', '.join(gone.hosts)}")
    if gone.unlogged is not None:
        say(f"the removal was not among the log's entries: {gone.unlogged}")
    if gone.root.exists():
        say(f"{gone.root} stays: it holds files of others, or is a mount point")
