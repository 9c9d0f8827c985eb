"""`sovereign memory compile`: each group's brief, from what changed and what was asked in vain."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from airgap_bundle.errors import BundleError
from appliance.cli.learn_site import described_site, enter
from appliance.cli.memory_judge import CaseJudge, drop, kept, site_asking
from appliance.cli.memory_night import Energy, Night
from appliance.cli.memory_site import Desk, briefed, desk
from appliance.cli.memory_warm import Warm
from appliance.cli.reached import reached, vault_of
from appliance.cli.rollout_nights import SiteStage
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    say,
)
from appliance.errors import SovereignError
from appliance.install.brief_runs import Compiled, compile_at, note, now_utc
from appliance.install.lock import SiteBusyError, busy, site_lock
from appliance.install.vault import client_secret
from appliance.memory.briefs import OPEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from appliance.cli.memory_night import Enter
    from appliance.gateway.brief_values import Run
    from appliance.site.groups import Group
    from appliance.site.paths import SitePaths

_PART = "briefs"


def register(app: typer.Typer) -> None:
    """Add the command to the group ``memory``."""
    app.command("compile")(compile_command)


def compile_command(
    context: typer.Context,
    group: Annotated[
        list[str], typer.Option("--group", metavar="GROUP", help="Only of this group; may be given several times.")
    ] = [],  # noqa: B006 - typer reads it and never changes it
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Choose sentences for each group that has `brief: true`, judge them, and put them in force if the gate lets them.

    Computed after everybody's requests and within `memory.compile.joules`; what is left is gone on with when it runs
    again. Until the very end, and where nothing changed, the brief of before is told. Under systemd, a timer runs it.
    Example: `sovereign memory compile --group clerks`.
    """
    paths = reached(context)
    groups = briefed(described_site(paths), group)
    try:
        with site_lock(paths, _PART):
            if busy(paths):
                raise SiteBusyError("another sovereign command is changing this site")  # noqa: TRY301 - as of the lock
            runs, energy = asyncio.run(_compiled(paths, groups, passphrase_fd))
    except SiteBusyError:
        say("nothing was compiled: another `memory compile` runs, or a command that changes the site")
        return
    except SovereignError as error:
        if compile_at(described_site(paths)) is not None:
            _noted(paths, Compiled(now_utc(), cause=error.cause))
        raise
    _noted(paths, Compiled(now_utc(), {run.group: run.state for run in runs}, round(energy.spent, 1)))
    emit([_shown(run) for run in runs], output, lambda console: _draw(console, runs))


async def _compiled(paths: SitePaths, groups: Sequence[Group], passphrase_fd: int | None) -> tuple[list[Run], Energy]:
    """Every group's run. Raises what stopped one of them, after the others had their turn."""
    runs: list[Run] = []
    failed: SovereignError | None = None
    async with desk(paths, passphrase_fd) as open_desk:
        energy = Energy(open_desk.site.memory.compile.joules)
        for one in groups:
            try:
                run = await night_of(open_desk, one, energy, passphrase_fd).of(one)
            except SovereignError as error:
                failed = failed or error
                say(f"{one.name}: {error.cause}")
            else:
                runs.append(run)
        await _tidied(open_desk)
    if failed is not None:
        raise failed
    return runs, energy


def night_of(open_desk: Desk, group: Group, energy: Energy, passphrase_fd: int | None) -> Night:
    """The night as it is on this host."""

    def secret(client: str) -> str:
        return vault_of(open_desk.paths, passphrase_fd).store().get(client_secret(client)).decode()

    asking = site_asking(open_desk.paths, open_desk.site, group, secret)
    judge = CaseJudge(open_desk, energy, asking)
    warm = Warm(open_desk, energy)
    return Night(open_desk, energy, judge, entering(open_desk.paths), warm, SiteStage(open_desk))


def entering(paths: SitePaths) -> Enter:
    """Puts acts on briefs into the site's log."""

    async def entered(action: Any, target: str, figures: Mapping[str, Any], *, success: bool = True) -> None:
        about: dict[str, Any] = {"what": "brief", "target": target, "figures": figures, "action": action}
        await asyncio.to_thread(enter, paths, **about, success=success)

    return entered


async def _tidied(open_desk: Desk) -> None:
    """Results of runs that are decided are kept no more."""
    names = [group.name for group in open_desk.site.groups]
    left = {run.id.hex for run in await open_desk.store.listed(names) if run.state in OPEN}
    for number in kept(open_desk.paths):
        if number not in left:
            drop(open_desk.paths, number)


def _noted(paths: SitePaths, compiled: Compiled) -> None:
    try:
        note(paths, compiled)
    except BundleError as error:
        say(f"`status` will not tell of this night: {error.cause}")


def _shown(run: Run) -> dict[str, Any]:
    return {**asdict(run), "id": str(run.id), "against": str(run.against) if run.against is not None else None}


def _draw(console: Console, runs: Sequence[Run]) -> None:
    table = Table("group", "brief", "state", "lines", "new", "gone", "J", "why")
    for run in runs:
        told = run.figures or {}
        counts = (str(told.get(name, "")) for name in ("lines", "new", "gone"))
        state = run.state.replace("_", " ")
        table.add_row(run.group, str(run.id), state, *counts, f"{run.joules:.1f}", run.cause or "")
    console.print(table, markup=False)
