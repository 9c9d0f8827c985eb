"""`sovereign certificates`: new ones before the old ones end."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from appliance.cli.cluster import TaskProgress
from appliance.cli.step_progress import StepProgress
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    progress,
    read_passphrase,
    say,
    site_paths,
)
from appliance.cluster import renewal as clusters
from appliance.cluster.certificates import AUTHORITIES, KUBELET, Certificate, kept_here, of_host
from appliance.cluster.looking import look
from appliance.cluster.reading import FAILED
from appliance.cluster.standing import is_cluster, standing
from appliance.install import renewal as hosts

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from appliance.site.paths import SitePaths

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group, though it has one command."""


@app.command("renew")
def renew(
    context: typer.Context,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be renewed; change nothing.")] = False,
) -> None:
    """Issue the site's certificates anew, and start what shows them; on a cluster Kubernetes' own and the links' too.

    A site that was stopped on this host stays so, and shows them at its next start.
    Authorities stay, since people and auditors trust them: `sovereign install` makes a new one in its last 30 days.
    """
    paths = site_paths(context)
    secret = _passphrase(passphrase_fd)
    before = _leaves(paths)
    if not dry_run:
        _renew_cluster(paths, secret) if is_cluster(paths) else _renew_host(paths, secret)
    after = before if dry_run else _leaves(paths)
    emit([asdict(each) for each in after], output, lambda console: _render(after, console))
    if not dry_run:
        say(f"renewed {len(after)} certificates")


def _leaves(paths: SitePaths) -> tuple[Certificate, ...]:
    """Every certificate that a renewal issues anew. Raises ``UsageError`` where there is no site, or it shows none."""
    now = datetime.now(UTC)
    if not is_cluster(paths):
        hosts.renewable(paths)
        return tuple(c for c in kept_here(paths, now) if c.name not in AUTHORITIES)
    known = standing(paths)
    told = look(known)
    for host in known.state.hosts:
        why = told.get(host.name, {FAILED: "it did not answer in time"}).get(FAILED)
        if why:
            say(f"warning: {host.name} did not tell its certificates, and they are left out here: {why}")
    found = (*kept_here(paths, now), *(c for host, reading in told.items() for c in of_host(host, reading, now)))
    return tuple(c for c in found if c.name not in AUTHORITIES and c.name != KUBELET)  # the kubelet renews its own


def _renew_cluster(paths: SitePaths, passphrase: Callable[[], bytes]) -> None:
    with TaskProgress() as tasks:
        done = clusters.renew(paths, standing(paths), watch=tasks.watch, passphrase=passphrase)
    if done.unlogged is not None:
        say(f"not in the audit log yet: {done.unlogged}; the next run enters it")


def _renew_host(paths: SitePaths, passphrase: Callable[[], bytes]) -> None:
    with StepProgress() as observer, progress("services", unit="steps") as ready:
        hosts.renew(paths, passphrase=passphrase, observer=observer, ready=ready)


def _passphrase(fd: int | None) -> Callable[[], bytes]:
    return lambda: read_passphrase("passphrase of the site key", fd)


def _render(found: tuple[Certificate, ...], console: Console) -> None:
    table = Table("certificate", "of", "until", "days left", box=None, pad_edge=False)
    for each in found:
        table.add_row(each.name, each.where, each.expires[:10], str(each.days))
    console.print(table)
