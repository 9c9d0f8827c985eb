"""`sovereign upgrade | rollback` of a cluster, told task by task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from appliance.cli.changes import render_cluster_change
from appliance.cli.cluster import tell_installed, telling
from appliance.cli.terminal import emit, read_passphrase
from appliance.cluster.rollback import roll_back
from appliance.cluster.room import next_pod
from appliance.cluster.standing import standing
from appliance.cluster.upgrade import check_site, may_upgrade, plan_upgrade
from appliance.cluster.upgrade import upgrade as go_to
from appliance.errors import RefusedError, UsageError
from appliance.install.admission import inspect
from appliance.install.backup.mark import refuse_half_restored

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.cli.terminal import OutputFormat
    from appliance.install.host import Request
    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class Answers:
    """What the operator said beforehand."""

    passphrase_fd: int | None
    yes: bool
    dry_run: bool

    def passphrase(self) -> bytes:
        """Of the site key."""
        return read_passphrase("passphrase of the site key", self.passphrase_fd)


def upgrade_cluster(paths: SitePaths, request: Request, output: OutputFormat, answers: Answers) -> None:
    """Show what changes, ask, and go. Findings of the hosts are a table on stdout."""
    if answers.dry_run:
        _show(paths, request, output)
        return
    plan = may_upgrade(paths, request)
    found = plan.found
    render_cluster_change(plan, Console(stderr=True, highlight=False), request.config)
    question = f"upgrade from {found.before} to {found.after}?"
    if not answers.yes and found.before != found.after and not typer.confirm(question, err=True):
        raise UsageError("not upgraded", "answer y, or give --yes")
    with telling(output) as tasks:
        done = go_to(paths, request, plan, watch=tasks.watch, progress=tasks.verified, passphrase=answers.passphrase)
    tell_installed(done, output)


def _show(paths: SitePaths, request: Request, output: OutputFormat) -> None:
    """What would be done; the exit code is that of the upgrade. Of hosts the first one is asked for their room."""
    refuse_half_restored(paths)
    known, report = standing(paths), inspect(request.bundle, paths, None)
    plan = plan_upgrade(paths, request.bundle, known) if report.ok else None
    if plan is not None and plan.found.refusal is None:
        check_site(paths, known, request.config, plan)
        plan = replace(plan, pods=next_pod(known, together=plan.found.final is None))

    def render(console: Console) -> None:
        if plan is not None:
            render_cluster_change(plan, console, request.config)
        elif report.failure is not None:
            console.print(f"refused: {report.failure.detail}", markup=False, style="red", soft_wrap=True)

    emit({"bundle": report.to_json(), "upgrade": plan and plan.data()}, output, render)
    if plan is None or plan.found.refusal is not None:
        raise typer.Exit(RefusedError.exit_code)


def roll_back_cluster(
    paths: SitePaths, version: str | None, config: Path | None, output: OutputFormat, answers: Answers
) -> None:
    """Go back to a release that was in force."""
    with telling(output) as tasks:
        done = roll_back(
            paths,
            version,
            config=config,
            watch=tasks.watch,
            progress=tasks.verified,
            passphrase=answers.passphrase,
        )
    tell_installed(done, output)
