"""`sovereign backup run`: the backup that site.yaml declares; a timer runs it where systemd is the service manager."""

from __future__ import annotations

from contextlib import ExitStack

import typer  # noqa: TC002 - typer reads the annotations at run time

from appliance.cli.backup import render_statement
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    emit,
    progress,
    say,
    site_paths,
)
from appliance.errors import UsageError
from appliance.install.backup.places import NOBODY_TYPES
from appliance.install.backup.unattended import back_up
from appliance.install.lock import SiteBusyError, site_lock
from appliance.install.vault import Vault
from appliance.site.load import load_site

_PART = "backup"


def register(app: typer.Typer) -> None:
    """Add the command to the group ``backup``."""
    app.command()(run)


def run(context: typer.Context, output: OutputOption = OutputFormat.table) -> None:
    """Back up as `backup` in site.yaml says: a new folder, read again, then older ones are removed.

    Waits up to half an hour while another command changes the site. `sovereign status` tells what the last one came to
    and when the next is due; under systemd, a timer runs it. One runs at a time.
    """
    paths = site_paths(context)
    config = load_site(paths.site_yaml)
    vault = Vault(paths, _nobody)
    with ExitStack() as held:
        try:
            held.enter_context(site_lock(paths, _PART))
        except SiteBusyError:
            say("nothing was backed up: another `backup run` is at work")
            return
        with progress("back up", unit="steps") as advance:
            done = back_up(config, paths, vault=vault, advance=advance)
    told = done.created.statement
    data = {
        "backup": str(done.folder),
        "digest": str(done.created.digest),
        "removed": [str(folder) for folder in done.removed],
        **told.to_json(),
    }
    emit(data, output, lambda console: render_statement(told, console))
    gone = ", ".join(folder.name for folder in done.removed) or "nothing"
    say(f"written, and read again: {done.folder}; removed: {gone}")


def _nobody() -> bytes:
    raise UsageError(NOBODY_TYPES, "run `sovereign backup create` yourself")
