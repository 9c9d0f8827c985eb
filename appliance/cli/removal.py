"""`sovereign uninstall`: what will be lost, the log above all, is said before anything is asked."""

from __future__ import annotations

import base64
from pathlib import Path  # noqa: TC003 - typer evaluates annotations
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.cli.cluster import TaskProgress
from appliance.cli.terminal import progress, say, site_paths
from appliance.cluster.log_fate import require_fate as require_cluster_fate
from appliance.cluster.removal import refuse as refuse_cluster
from appliance.cluster.removal import uninstall as uninstall_cluster
from appliance.cluster.standing import is_cluster, standing
from appliance.errors import UsageError
from appliance.install.log_fate import LogFate
from appliance.install.uninstall import refuse as refuse_removal
from appliance.install.uninstall import uninstall as remove_site

if TYPE_CHECKING:
    from appliance.site.paths import SitePaths


def uninstall(
    context: typer.Context,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    log_archived: Annotated[
        Path | None,
        typer.Option(
            "--log-archived",
            metavar="FOLDER",
            help="Holds the whole audit log, outside the site: a copy of its folder, or an export; checked first. Of a "
            "cluster's log whose beginning was pruned, a copy of the folder.",
            show_default=False,
        ),
    ] = None,
    discard_log: Annotated[
        bool, typer.Option("--discard-log", help="The audit log goes with the site, kept nowhere.")
    ] = False,
) -> None:
    """Remove the site and everything in it: conversations, log, keys; a cluster from every one of its hosts.

    Refused while the audit log has entries that are to be kept, six months at least, unless one of the two options says
    what becomes of it. Example: `sovereign down`, `cp -a SITE/data/audit/log /media/stick`, then
    `sovereign uninstall --log-archived /media/stick/log`.
    """
    paths, fate = site_paths(context), LogFate(log_archived, discard_log)
    if is_cluster(paths):
        _remove_cluster(paths, fate, yes=yes)
        return
    if not yes:
        refuse_removal(paths, fate)
    _tell_fate(fate)
    if not yes and not typer.confirm(f"remove {paths.root} with its conversations, log and keys?", err=True):
        raise UsageError("not removed", "answer y, or give --yes")
    with progress("checking the copy", unit="steps") as show:
        gone = remove_site(paths, fate, progress=show)
    say(f"removed {gone.root}" + (f" and the users {', '.join(gone.users)}" if gone.users else ""))
    if gone.log_head is not None:
        root = base64.b64encode(gone.log_head.root).decode()
        say(f"its audit log {gone.log_head.origin} ended with {gone.log_head.size} entries under root {root}")
    if gone.unlogged is not None:
        say(f"the removal is not among its entries: {gone.unlogged}")


def _remove_cluster(paths: SitePaths, fate: LogFate, *, yes: bool) -> None:
    """Remove the appliance from every host of the cluster, and the site root here."""
    known = standing(paths)
    refuse_cluster(paths, known)
    if not yes:
        require_cluster_fate(paths, known, fate)
    names = ", ".join(f"{host.name} ({host.address})" for host in known.state.hosts)
    say(f"this removes the appliance from {names}, and what is the site's in {paths.root} from this machine")
    say(f"lost are conversations, the audit log and the database on {known.described.state_host}, and all keys here")
    _tell_fate(fate)
    if not yes and not typer.confirm("remove it all?", err=True):
        raise UsageError("not removed", "answer y, or give --yes")
    with TaskProgress() as tasks:
        gone = uninstall_cluster(paths, known, fate, watch=tasks.watch)
    say(f"removed the site's files in {gone.root}, and the appliance from {', '.join(gone.hosts)}")
    if gone.unlogged is not None:
        say(f"the removal was not among the log's entries: {gone.unlogged}")
    if gone.root.exists():
        say(f"{gone.root} stays: it holds files of others, or is a mount point")


def _tell_fate(fate: LogFate) -> None:
    if fate.discard:
        say("--discard-log: the audit log goes, too, however young its entries are; nobody can check them afterwards")
    if fate.archived is not None:
        say(f"--log-archived: the audit log is to be whole in {fate.archived}, which is checked first")
