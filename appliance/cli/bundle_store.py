"""`sovereign bundle recheck`: whether the site's store still holds what was signed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle.recheck import recheck, recheck_changed
from airgap_bundle.store import Store
from appliance.cli.terminal import OutputFormat, OutputOption, emit, progress, say, site_paths

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("recheck")(_recheck)


def _recheck(
    context: typer.Context,
    *,
    only_changed: Annotated[
        bool,
        typer.Option(
            "--only-changed", help="Do not read files that look as they did when they were last hashed; says how many."
        ),
    ] = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Hash every blob of every imported release again, from the site's own store."""
    store = Store(site_paths(context).store)
    ask = recheck_changed if only_changed else recheck
    with progress("rechecking") as report_progress:
        found = ask(store, report_progress)

    def render(console: Console) -> None:
        console.print(f"releases {', '.join(found.releases) or 'none'}", markup=False)
        console.print(f"{found.read} blobs, {found.read_bytes} bytes, are as signed", markup=False)

    emit(asdict(found), output, render)
    if found.unread:
        say(
            f"note: {found.unread} blobs, {found.unread_bytes} bytes, were not read: inode, size and times are those "
            "of the last hashing; leave --only-changed away to read them"
        )
