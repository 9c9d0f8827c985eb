"""What an upgrade would change, as tables: of a host's site and of a cluster's alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from appliance.install.backup.last import shown

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from appliance.cluster.upgrade import ClusterUpgrade
    from appliance.install.upgrade import Upgrade


def render_change(found: Upgrade, console: Console, config: Path | None) -> None:
    """Artifacts that differ, then the way back."""
    if found.before == found.after:
        console.print(f"release {found.after} is in force: what is not in place is put in place", markup=False)
        return
    console.print(f"from release {found.before} to {found.after}", markup=False, style="bold")
    if found.changes:
        table = Table("artifact", "kind", "now", "then", box=None, pad_edge=False)
        for change in found.changes:
            table.add_row(change.name, change.kind, change.before or "none", change.after or "none")
        console.print(table)
    else:
        console.print("every artifact is the one that is in force", markup=False)
    if found.refusal is not None:
        console.print(f"refused: {found.refusal}", markup=False, style="red", soft_wrap=True)
        console.print(f"hint: {found.hint}", markup=False, soft_wrap=True)
        return
    if found.final is None:
        kept = " with --config and the site file of now: keep it" if config is not None else ""
        console.print(f"the way back: `sovereign rollback`{kept}", markup=False, soft_wrap=True)
        return
    console.print(f"no rollback: {found.final}", markup=False, soft_wrap=True)
    if found.backup is not None:
        way = f"a restore of the backup of {shown(found.backup.made)} with the whole bundle of release {found.before}"
        console.print(f"the way back: {way}, then importing models again", markup=False, soft_wrap=True)


def render_cluster_change(plan: ClusterUpgrade, console: Console, config: Path | None) -> None:
    """The cluster's own programs and the hosts in their order, then the rest as on a host."""
    if plan.versions:
        table = Table("of the cluster", "now", "then", box=None, pad_edge=False)
        for change in plan.versions:
            table.add_row(change.name, change.before or "none", change.after or "none")
        console.print(table)
    if plan.order:
        console.print(f"hosts, one after the other: {', '.join(plan.order)}", markup=False, soft_wrap=True)
    if plan.pods is not None:
        console.print(plan.pods.told(), markup=False, soft_wrap=True)
    render_change(plan.found, console, config)
