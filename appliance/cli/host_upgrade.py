"""`sovereign upgrade`: the site goes to a newer release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from appliance.cli.changes import render_change
from appliance.cli.cluster_change import Answers, upgrade_cluster
from appliance.cli.host import BundleArgument, ConfigOption, tell_kept_down
from appliance.cli.host_installed import emit_installed
from appliance.cli.host_tables import render_plan
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
from appliance.cluster.standing import is_cluster
from appliance.errors import RefusedError, UsageError
from appliance.install import host
from appliance.install.upgrade import may_upgrade, plan_upgrade
from appliance.install.upgrade import upgrade as go_to

if TYPE_CHECKING:
    from appliance.site.paths import SitePaths


def register(app: typer.Typer) -> None:
    """Mount the command at the top level."""
    app.command("upgrade")(upgrade)


def upgrade(  # noqa: PLR0913 - typer: one parameter per option
    context: typer.Context,
    bundle: BundleArgument,
    config: ConfigOption = None,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify and compare; change nothing.")] = False,
) -> None:
    """Go to a newer release, a delta included: what changes is shown first, and whether `rollback` could undo it.

    Where it could not (a newer Keycloak, a new revision of the database, a release that ends the older ones), a backup
    of the last day has to be there. Interrupted, run it again with the same bundle.
    """
    paths = site_paths(context)
    request = host.Request(bundle, config, None)
    if is_cluster(paths):
        upgrade_cluster(paths, request, output, Answers(passphrase_fd, yes=yes, dry_run=dry_run))
        return
    if dry_run:
        _show(paths, request, output)
        return
    found = may_upgrade(paths, request)
    render_change(found, Console(stderr=True, highlight=False), config)
    question = f"upgrade from {found.before} to {found.after}?"
    if not yes and found.before != found.after and not typer.confirm(question, err=True):
        raise UsageError("not upgraded", "answer y, or give --yes")
    with progress("verify and import") as advance, StepProgress() as observer:
        done = go_to(
            paths,
            request,
            found,
            passphrase=lambda: read_passphrase("passphrase of the site key", passphrase_fd),
            observer=observer,
            progress=advance,
        )
    emit_installed(done, output)
    tell_kept_down(paths)


def _show(paths: SitePaths, request: host.Request, output: OutputFormat) -> None:
    """What would be done; the exit code is that of the upgrade."""
    plan = host.plan(paths, request)
    found = plan_upgrade(paths, request.bundle) if plan.bundle is not None and plan.bundle.ok else None

    def render(console: Console) -> None:
        render_plan(plan, console)
        if found is not None:
            console.print()
            render_change(found, console, request.config)

    emit({**plan.data(), "upgrade": found and found.data()}, output, render)
    if not plan.ok:
        raise typer.Exit(plan.exit_code)
    if found is not None and found.refusal is not None:
        raise typer.Exit(RefusedError.exit_code)
