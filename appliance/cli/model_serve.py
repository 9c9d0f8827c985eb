"""`sovereign model import`, `promote` and `rollback`: another model at a site that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from appliance.cli.terminal import OutputFormat, OutputOption, emit, progress, say, site_paths
from appliance.install import model_switch
from appliance.install.model_import import Brought, bring

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.install.model_switch import Switched

BundleArgument = Annotated[
    Path,
    typer.Argument(metavar="BUNDLE", help="A bundle of models: its folder, a packed file, or a split set's folder."),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name under which the site serves a model, or will.")]
ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit log.", prompt="reason, for the audit log")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``model``."""
    app.command("import")(import_)
    app.command()(promote)
    app.command()(rollback)


def import_(
    context: typer.Context,
    bundle: BundleArgument,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify and judge; keep nothing.")] = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Bring a bundle of models to a running site: verified, judged by the site's policy, kept; it serves nobody yet.

    Those sign it whom the site's root lets bring models (`sovereign bundle sign --models`). Running it again with the
    same bundle changes nothing.
    """
    with progress("verify and import") as advance:
        done = bring(site_paths(context), bundle, rehearse=dry_run, progress=advance)
    models = [
        {
            "name": held.name,
            "digest": held.weights,
            "artifact": str(held.artifact.digest),
            "waived": [check.name for check in verdict.checks if check.status == "waived"],
        }
        for held, verdict in done.models
    ]
    data = {
        "bundle": done.bundle.version,
        "number": done.bundle.number,
        "signers": list(done.bundle.signers),
        "models": models,
        "new": done.new,
        "kept": not done.rehearsed,
        "ended": [{"name": name, "reason": reason} for name, reason in done.ended],
    }
    emit(data, output, lambda console: _render_brought(done, console))
    _say_unlogged(done.unlogged)


def promote(
    context: typer.Context,
    name: NameArgument,
    *,
    reason: ReasonOption,
    digest: Annotated[
        str | None,
        typer.Option(
            "--digest", metavar="sha256:…", help="Which one, by the beginning of its digest; default: newest."
        ),
    ] = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Let another model of this site serve under NAME: judged again, started, seen to answer, and then in force.

    A second engine takes over where the host has the memory for it; else nobody is answered while it is changed.
    When it does not start on the new model, the former serves again. A name that a bundle of models brought and
    site.yaml does not name yet is decided for, too: it serves once site.yaml names it.
    """
    with progress(f"hashing {name}") as advance:
        done = model_switch.promote(site_paths(context), name, digest, reason=reason, progress=advance)
    _emit_switched(done, output)


def rollback(
    context: typer.Context, name: NameArgument, *, reason: ReasonOption, output: OutputOption = OutputFormat.table
) -> None:
    """Let the model serve again that served under NAME before; it is judged anew, and may be refused now."""
    with progress(f"hashing {name}") as advance:
        done = model_switch.rollback(site_paths(context), name, reason=reason, progress=advance)
    _emit_switched(done, output)


def _emit_switched(done: Switched, output: OutputFormat) -> None:
    data = {
        "name": done.name,
        "source": done.source,
        "digest": done.digest,
        "former": done.former,
        "waived": list(done.waived),
        "changed": done.changed,
        "paused": done.paused,
        "listed": done.listed,
    }

    def render(console: Console) -> None:
        if not done.changed:
            already = "serves already" if done.listed else "was chosen already"
            console.print(f"{done.name} {done.digest[:19]} {already}; nothing was changed", markup=False)
            return
        verb = "serves" if done.listed else "will serve"
        console.print(f"{done.name} {verb} from {done.source}", markup=False)
        console.print(f"  now    {done.digest}", markup=False, soft_wrap=True)
        console.print(f"  before {done.former or 'none'}", markup=False, soft_wrap=True)
        if not done.listed:
            console.print("  no engine serves it yet: name it in site.yaml, then `sovereign install`", markup=False)
        if done.paused:
            console.print(f"  nobody was answered meanwhile: {done.paused}", markup=False, soft_wrap=True)
        if done.waived:
            console.print(f"  by waiver: {', '.join(done.waived)}", markup=False)

    emit(data, output, render)
    _say_unlogged(done.unlogged)


def _render_brought(done: Brought, console: Console) -> None:
    table = Table("model", "version", "by waiver", Column("digest", overflow="fold"))
    for held, verdict in done.models:
        waived = ", ".join(check.name for check in verdict.checks if check.status == "waived") or "-"
        table.add_row(held.name, held.artifact.version, waived, held.weights)
    console.print(table)
    what = "would be accepted; nothing was kept" if done.rehearsed else "kept" if done.new else "was here already"
    console.print(f"bundle {done.bundle.version}, number {done.bundle.number}: {what}", markup=False)
    console.print(f"signed by {', '.join(done.bundle.signers)}", markup=False)
    verb = "would serve" if done.rehearsed else "serves"
    for name, reason in done.ended:
        console.print(f"{name} {verb} what may not be chosen any more: {reason}", markup=False, style="red")
        console.print(f"  its engine will not start on it again: `sovereign model promote {name}`", markup=False)


def _say_unlogged(unlogged: str | None) -> None:
    if unlogged is not None:
        say(f"not in the audit log yet: {unlogged}; `sovereign up` enters what the install journal holds")
