"""`sovereign rollback`: the site goes back to a release that it ran before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from appliance.cli.cluster_change import Answers, roll_back_cluster
from appliance.cli.host import ConfigOption, tell_kept_down
from appliance.cli.host_installed import emit_installed
from appliance.cli.step_progress import StepProgress
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    progress,
    read_passphrase,
    site_paths,
)
from appliance.cluster.rollback import returns as returns_of_cluster
from appliance.cluster.standing import is_cluster
from appliance.install.rollback import Return, returns, roll_back

if TYPE_CHECKING:
    from rich.console import Console

VersionArgument = Annotated[
    str | None,
    typer.Argument(help="The release; default: the newest before the active one.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Mount the command at the top level."""
    app.command("rollback")(rollback)


def rollback(  # noqa: PLR0913 - typer: one parameter per option
    context: typer.Context,
    version: VersionArgument = None,
    config: ConfigOption = None,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what ran here, and what may return.")] = False,
) -> None:
    """Go back to a release that this site ran before, from its own store.

    Its blobs are hashed again. A release below the lowest number that a newer one was signed with is refused, and so is
    one that cannot read the data that the active one left. A cluster's Kubernetes goes back with it, within a minor
    version. What the site remembers of the newest release stays: older
    bundles are refused as before, and the newer release can be upgraded to again. Repeated on a cluster, it goes on.
    """
    paths = site_paths(context)
    if dry_run:
        found = returns_of_cluster(paths) if is_cluster(paths) else returns(paths)
        emit([each.data() for each in found], output, lambda console: _render(found, console))
        return
    if is_cluster(paths):
        roll_back_cluster(paths, version, config, output, Answers(passphrase_fd, yes=True, dry_run=False))
        return
    with progress("check the store") as advance, StepProgress() as observer:
        done = roll_back(
            paths,
            version,
            config=config,
            passphrase=lambda: read_passphrase("passphrase of the site key", passphrase_fd),
            observer=observer,
            progress=advance,
        )
    emit_installed(done, output)
    tell_kept_down(paths)


def _render(found: tuple[Return, ...], console: Console) -> None:
    table = Table("release", "number", "may it return")
    for each in found:
        answer = "it is in force" if each.active else "yes" if each.refusal is None else f"no: {each.refusal}"
        table.add_row(each.version, str(each.number), answer)
    console.print(table)
