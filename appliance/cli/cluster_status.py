"""`sovereign status` of a cluster, and what tried to leave it."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from appliance.audit.usage_table import printable
from appliance.cli.host_tables import computing_words
from appliance.cli.terminal import emit, say
from appliance.cluster.assistant_warnings import assistant_warnings
from appliance.cluster.computing import computing
from appliance.cluster.egress import attempts, counters, incomplete, silent
from appliance.cluster.looking import look
from appliance.cluster.standing import standing
from appliance.cluster.status import cluster_status
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from appliance.cli.terminal import OutputFormat
    from appliance.cluster.certificates import Certificate
    from appliance.cluster.egress import Attempt
    from appliance.cluster.status import ClusterStatus, HostStatus, WorkloadStatus
    from appliance.site.paths import SitePaths

_SHOWN = 40


def show_status(paths: SitePaths, output: OutputFormat) -> None:
    """Ask every host and show the cluster; exits with 5 when something is not ready."""
    known = standing(paths)
    found = cluster_status(paths, known, look(known))
    warnings = (*found.warnings, *assistant_warnings(paths, datetime.now(UTC)))
    found = replace(found, warnings=warnings, engines=computing(paths))
    emit(found.data(), output, lambda console: _render(found, console))
    if not found.ok:
        raise typer.Exit(DeploymentError.exit_code)


def show_egress(paths: SitePaths, output: OutputFormat) -> None:
    """Ask every host what it refused to let through; exits with 5 when one did not tell."""
    known = standing(paths)
    readings = look(known, "state egress")
    found, counted, mute = attempts(readings, known), counters(readings), silent(readings, known)
    notes = list(incomplete(readings))
    data = {"attempts": [asdict(each) for each in found], "refused": counted, "silent": mute, "incomplete": notes}
    nothing = "of what hosts told, nothing tried to leave" if mute or notes else "nothing tried to leave"
    emit(data, output, lambda console: _render_egress(found, counted, nothing, console))
    for note in map(printable, notes):
        say(f"warning: {note}")
    for host, why in mute.items():
        say(f"warning: {host} did not tell: {printable(why)}")
    if mute:
        raise typer.Exit(DeploymentError.exit_code)


def _render(status: ClusterStatus, console: Console) -> None:
    """Hosts, workloads, what waits, certificates, then what is in force and what to act on."""
    _print(
        console,
        ("host", "", "address", "role", "kubernetes", "disk free", "to be logged"),
        map(_host_row, status.hosts),
    )
    _print(console, ("workload", "", "kind", "namespace", "on"), map(_workload_row, status.workloads))
    if status.waiting:
        _print(console, ("waits", "why"), ((Text(w.what), Text(w.why, "red")) for w in status.waiting))
    _print(console, ("certificates", "of", "until", "days left"), map(_certificate_row, _first(status.certificates)))
    facts = {"site": status.site, "open": status.url or "", "api": status.endpoint, "release": status.release}
    facts |= {f"computes {one.engine}": computing_words(one) for one in status.engines if one.variant}
    for name, value in facts.items():
        if value:
            console.print(f"{name}: {value}", markup=False, soft_wrap=True)
    for warning in map(printable, status.warnings):
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)


def _print(console: Console, columns: tuple[str, ...], rows: object) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:  # type: ignore[attr-defined]  # rows of several kinds of cells
        table.add_row(*map(_plain, row))
    console.print(table)
    console.print()


def _plain(cell: Text | str) -> Text:
    """The cell as it is read: a host or a pod that was taken over neither steers the terminal nor writes markup."""
    return Text(printable(cell.plain), cell.style) if isinstance(cell, Text) else Text(printable(cell))


def _host_row(host: HostStatus) -> tuple[Text | str, ...]:
    state = Text("ready", "green") if host.ready else Text(host.why, "red")
    free = f"{host.disk_free / 2**30:.1f} GiB" if host.disk_free is not None else ""
    waits = f"{host.unlogged / 2**20:.1f} MiB" if host.unlogged is not None else ""
    return (Text(host.name), state, host.address, host.role, host.version, free, waits)


def _workload_row(found: WorkloadStatus) -> tuple[Text | str, ...]:
    counted = Text(f"{found.ready}/{found.wanted}", "green" if found.ready >= found.wanted else "red")
    return (Text(found.name), counted, found.kind, found.namespace, ", ".join(found.nodes))


def _first(found: tuple[Certificate, ...]) -> list[tuple[Certificate, int]]:
    """Of each place the one that ends first, and how many there are; the authorities for themselves."""
    ordered = sorted(found, key=lambda c: (c.where, _is_authority(c), c.expires))
    groups = groupby(ordered, key=lambda c: (c.where, _is_authority(c)))
    return [(members[0], len(members)) for _, group in groups if (members := list(group))]


def _is_authority(certificate: Certificate) -> bool:
    return certificate.name.rsplit("/", 1)[-1] in {"authority", "ca", "front-proxy-ca"}


def _certificate_row(found: tuple[Certificate, int]) -> tuple[Text | str, ...]:
    first, count = found
    what = first.name if count == 1 else f"{first.name}, the first of {count}"
    days = Text(str(first.days), "red" if first.days < 0 else "yellow" if first.days < 30 else "green")  # noqa: PLR2004
    return (Text(what), first.where, first.expires[:10] or "not readable", days)


def _render_egress(
    found: tuple[Attempt, ...], counted: Mapping[str, Mapping[str, int]], nothing: str, console: Console
) -> None:
    """The latest attempts, or that there is ``nothing``, then the packets that each host refused."""
    if found:
        columns = ("last seen", "from", "to", "port", "packets", "refused by")
        _print(console, columns, map(_attempt_row, found[:_SHOWN]))
        if len(found) > _SHOWN:
            console.print(f"and {len(found) - _SHOWN} more; --output json has all", markup=False)
    else:
        console.print(nothing, markup=False)
    for host, by in sorted(counted.items()):
        refused = ", ".join(f"{name.removeprefix('refused_')}: {packets}" for name, packets in sorted(by.items()))
        console.print(f"packets that {host} refused: {refused}", markup=False, soft_wrap=True)


def _attempt_row(each: Attempt) -> tuple[Text | str, ...]:
    seen = each.last_seen[:19].replace("T", " ")
    port = f"{each.port}/{each.protocol}" if each.port else each.protocol
    return (seen, Text(each.source), Text(each.destination), port, str(each.count), f"{each.by} of {each.host}")
