"""What the commands say that put a release in force on this host: what it will be, and what it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from appliance.cli.host_tables import render_plan
from appliance.cli.terminal import OutputFormat, emit

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.install.host import Installed, Plan


def show_plan(plan: Plan, output: OutputFormat) -> None:
    """What would be done; ends the command with the status that the installation would end with."""
    emit(plan.data(), output, lambda console: render_plan(plan, console))
    if not plan.ok:
        raise typer.Exit(plan.exit_code)


def emit_installed(done: Installed, output: OutputFormat) -> None:
    """What is in force now, and which steps were done for it."""
    data = {"release": done.release.version, "steps": list(done.ran), "url": done.url, "logged": done.logged}
    emit(data, output, lambda console: render_installed(done, console))


def render_installed(done: Installed, console: Console) -> None:
    """What is in force now."""
    what = f"{len(done.ran)} steps" if done.ran else "nothing to do"
    console.print(f"release {done.release.version} is installed ({what})", markup=False)
    console.print(f"signed by {', '.join(done.release.signers)}", markup=False)
    console.print(f"open {done.url}", markup=False)
