"""`sovereign memory`: the hierarchy of memories in one place that shows it; briefs are in `memory_brief`."""

from __future__ import annotations

import typer

from appliance.cli.memory_table import render
from appliance.cli.root import new_app
from appliance.cli.terminal import OutputFormat, OutputOption, emit, site_paths
from appliance.cluster.standing import is_cluster
from appliance.errors import DeploymentError, UsageError
from appliance.install.memory_status import memory_status

app = new_app()


@app.callback()
def memory() -> None:
    """What the site remembers and where, what that spares, and what people are told before anybody asks."""


@app.command()
def status(context: typer.Context, output: OutputOption = OutputFormat.table) -> None:
    """Show every tier: how much lies there, how old it is, who used it, and the tokens and joules that it spared."""
    paths = site_paths(context)
    if is_cluster(paths):
        raise UsageError("engines of a cluster are not asked from here", "open /memory on the site's page")
    found = memory_status(paths)
    emit(found.data(), output, lambda console: render(found, console))
    if not found.ok:
        raise typer.Exit(DeploymentError.exit_code)
