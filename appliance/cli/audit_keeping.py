"""``sovereign audit prune`` and ``sovereign audit archive``: how long entries are kept, and where they go after."""

from __future__ import annotations

import os
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from appliance.audit.archive import Archived, check_archive, write_archive
from appliance.audit.client import SyncAuditClient
from appliance.audit.events import admin_change
from appliance.audit.pruning import find_prunable
from appliance.audit.restoring import restore_archive
from appliance.audit.roles import OPERATOR
from appliance.audit.usage_table import printable
from appliance.cli.audit_options import LogOption, VkeysOption, log_folder, verifier_keys
from appliance.cli.reached import own_log, reached
from appliance.cli.terminal import OutputFormat, OutputOption, emit, progress, say
from appliance.errors import UsageError
from appliance.site.load import load_site
from appliance.site.paths import AUDIT

archive = typer.Typer(
    help="Copy entries to a medium with their proofs; check them; put them back.", no_args_is_help=True
)
ArchiveArgument = Annotated[Path, typer.Argument(metavar="ARCHIVE", help="The folder that `archive write` made.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``audit``."""
    app.command()(prune)
    app.add_typer(archive, name="archive")


def prune(
    context: typer.Context,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Remove the entries that the site's policy no longer keeps; their hashes stay, so every proof still holds.

    Shows what will go and asks. Nothing younger than six months goes, whatever the policy or the clock says: age counts
    by the log's own entries. Example: `sovereign audit archive write /media/stick/2026`, then `sovereign audit prune`.
    """
    paths = reached(context)
    days = load_site(paths.site_yaml).audit.retention_days
    with progress("verifying", unit="steps") as show:
        stored, old = find_prunable(own_log(paths), vkeys=verifier_keys(context, None), days=days, progress=show)
    first = stored.pruned.end if stored.pruned else 0
    if old.until is None:
        found = {"pruned": 0, "first": first, "size": stored.head.size, "retention_days": days}
        text = f"nothing to prune: no entry is older than {days} days by the log's own time"
        emit(found, output, lambda console: console.print(text, markup=False))
        return
    what = f"entries {first} to {old.end - 1}, the last of {_day(old.until)}"
    say(f"{what}: their texts go, their hashes stay; {stored.head.size - old.end} entries are kept")
    if not yes and not (sys.stdin.isatty() and typer.confirm("remove them?", err=True)):
        raise UsageError(
            "nothing was pruned", "answer y, or give --yes; `sovereign audit archive write` copies them first"
        )
    with SyncAuditClient(paths.socket(AUDIT)) as audit:
        index = audit.prune(old.end, f"uid {os.getuid()}")
    made = {
        "pruned": old.end - first,
        "first": old.end,
        "size": stored.head.size,
        "entry": index,
        "retention_days": days,
    }
    emit(made, output, lambda console: console.print(f"pruned: {what}; entry {index} says so", markup=False))


@archive.command()
def write(  # noqa: PLR0913, PLR0917 - typer: one parameter per option
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder, on the medium.")],
    first: Annotated[
        int | None, typer.Option("--first", help="Position of the first entry; a multiple of 256.")
    ] = None,
    end: Annotated[int | None, typer.Option("--end", help="Position behind the last; a multiple of 256.")] = None,
    log: LogOption = None,
    vkeys: VkeysOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Write entries in compressed volumes with the proof that they are the log's; by default all in full bundles.

    Example: `sovereign audit archive write /media/stick/2026 --end 65536`.
    """
    with progress("archiving", unit="steps") as show:
        found = write_archive(
            log_folder(context, log), out, vkeys=verifier_keys(context, vkeys), first=first, end=end, progress=show
        )
    _show(out, found, output, "written")


@archive.command("verify")
def check(
    context: typer.Context,
    folder: ArchiveArgument,
    vkeys: VkeysOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Check every volume of an archive, without the log; exit 6 when one entry is not what the log signed.

    Example: `sovereign audit archive verify /media/stick/2026 --vkeys audit-vkeys`.
    """
    with progress("verifying", unit="steps") as show:
        found = check_archive(folder, vkeys=verifier_keys(context, vkeys), progress=show)
    _show(folder, found, output, "holds")


@archive.command()
def restore(
    context: typer.Context,
    folder: ArchiveArgument,
    log: Annotated[
        Path | None,
        typer.Option("--log", metavar="DIR", help="A copy of the log; default: the site's own, by its writer."),
    ] = None,
    vkeys: VkeysOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Put pruned entries back from an archive, which is checked first, and then held against the log's own hashes.

    Example: `sovereign audit archive restore /media/stick/2026 --log COPY/log --vkeys audit-vkeys`.
    """
    keys = verifier_keys(context, vkeys)
    with progress("restoring", unit="steps") as show:
        if log is not None:
            count = restore_archive(folder, log, vkeys=keys, progress=show)
        else:
            paths = reached(context)
            with SyncAuditClient(paths.socket(AUDIT)) as audit:
                detail = f"entries are put back from an archive of {check_archive(folder, vkeys=keys).end}"
                event = admin_change(
                    actor=f"uid {os.getuid()}", action="update", kind="log", target=keys[0].name, detail=detail
                )
                audit.append(event, id=OPERATOR.id("restore", secrets.token_hex(16)))
                count = restore_archive(folder, own_log(paths), vkeys=keys, put=audit.put_back, progress=show)
    emit({"restored": count}, output, lambda console: console.print(f"restored: {count} entries", markup=False))


def _show(folder: Path, found: Archived, output: OutputFormat, done: str) -> None:
    count = found.end - found.first
    made = {
        "folder": str(folder),
        "first": found.first,
        "end": found.end,
        "origin": found.head.origin,
        "size": found.head.size,
        "bytes": found.size,
        "bytes_per_entry": round(found.size / count, 1),
    }
    span = f"entries {found.first} to {found.end - 1} of {found.head.size}"
    text = f"{folder}: {done}: {span}, {found.size / count:.0f} bytes each"
    emit(made, output, lambda console: console.print(Text(printable(text)), soft_wrap=True))


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
