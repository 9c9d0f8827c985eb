"""`sovereign memory`: the hierarchy of memories in one place that shows it; briefs are in `memory_brief`."""

from __future__ import annotations

import typer

from appliance.cli.memory_table import render
from appliance.cli.reached import reached
from appliance.cli.root import new_app
from appliance.cli.terminal import OutputFormat, OutputOption, emit
from appliance.cluster.memory_status import cluster_memory_status
from appliance.cluster.reached import ReachedPaths
from appliance.errors import DeploymentError
from appliance.install.memory_status import memory_status

app = new_app()


@app.callback()
def memory() -> None:
    """What the site remembers and where, what that spares, and what people are told before anybody asks."""


@app.command()
def status(context: typer.Context, output: OutputOption = OutputFormat.table) -> None:
    """Show every tier: how much lies there, how old it is, who used it, and the tokens and joules that it spared."""
    paths = reached(context)
    found = cluster_memory_status(paths) if isinstance(paths, ReachedPaths) else memory_status(paths)
    emit(found.data(), output, lambda console: render(found, console))
    if not found.ok:
        raise typer.Exit(DeploymentError.exit_code)
