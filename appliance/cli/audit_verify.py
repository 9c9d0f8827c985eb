"""``sovereign audit verify``: check the log, an export, or a proof of one entry; say what holds or what is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - typer evaluates annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from appliance.audit.apart_check import ApartCheck
from appliance.audit.errors import LogTamperedError
from appliance.audit.export_verify import verify_export
from appliance.audit.prove import verify_proof
from appliance.audit.usage_table import printable
from appliance.audit.verify import LogReport, verify_growth, verify_log
from appliance.cli import audit_witness
from appliance.cli.audit_looks import looked_at
from appliance.cli.audit_options import (
    KeptOption,
    LogOption,
    VkeysOption,
    WitnessesOption,
    kept_checkpoint,
    verifier_keys,
    witnessed,
)
from appliance.cli.terminal import OutputFormat, OutputOption, emit, progress
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from appliance.audit.cosigned import Witnessed
    from appliance.audit.note import VerifierKey


def register(app: typer.Typer) -> None:
    """Put the command into ``sovereign audit``."""
    app.command()(verify)


def verify(  # noqa: PLR0913, PLR0917 - typer: one parameter per option
    context: typer.Context,
    log: LogOption = None,
    vkeys: VkeysOption = None,
    kept: KeptOption = None,
    witnesses: WitnessesOption = None,
    proof: Annotated[
        Path | None, typer.Option("--proof", metavar="FILE", help="Check this proof bundle instead of a log.")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export", metavar="DIR", help="Check what `sovereign audit export` wrote here, instead of a log."
        ),
    ] = None,
    *,
    growth: Annotated[
        bool, typer.Option("--growth", help="With --kept: read the entries behind it, and hashes only of those before.")
    ] = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Check every entry, tile and signature of the log; exit 6 and name what is wrong if it does not hold.

    Whoever checked it before may check what it gained: `sovereign audit verify --kept checkpoint --growth`.
    Of an export it says what its own `verify.py` says, and which entry was changed.
    """
    if growth and (kept is None or proof is not None or export is not None):
        raise UsageError("growth is what a log gained behind a checkpoint that you kept", "name it with --kept")
    if export is not None and (log or witnesses or proof):
        raise UsageError("an export is checked by itself", "give --vkeys and --kept beside it, and nothing else")
    keys = verifier_keys(context, vkeys)
    if proof is not None:
        _verify_proof(proof, keys, output)
        return
    if export is not None:
        _verify_export(export, keys, kept_checkpoint(kept), output)
        return
    folder = looked_at(context, log, "verification of what was gained" if growth else "verification")
    vouched = witnessed(context, folder, keys, witnesses)
    before = kept_checkpoint(kept)
    apart = ApartCheck(folder)
    try:
        with progress("verifying", unit="steps") as show:
            if growth and before is not None:
                found = verify_growth(
                    folder, vkeys=keys, kept=before, witnessed=vouched, visit=apart.visit, progress=show
                )
            else:
                found = verify_log(folder, vkeys=keys, kept=before, witnessed=vouched, visit=apart.visit, progress=show)
            apart.finish(found)
    except LogTamperedError as error:
        _show_findings(error, output)
        raise
    told = _as_json(found, vouched) | {"apart": apart.texts}
    emit(told, output, lambda console: _show(found, vouched, apart.texts, console))


def _verify_proof(path: Path, keys: tuple[VerifierKey, ...], output: OutputFormat) -> None:
    try:
        bundle = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"the proof {path} cannot be read: {error}") from error
    event = verify_proof(bundle, vkeys=keys)
    result = {"proven": True, "index": bundle["index"], "event": event}
    text = json.dumps(event, indent=2)
    emit(result, output, lambda console: console.print(Text(f"entry {bundle['index']} is in the signed log\n{text}")))


def _verify_export(folder: Path, keys: tuple[VerifierKey, ...], kept: str | None, output: OutputFormat) -> None:
    try:
        found = verify_export(folder, vkeys=keys, kept=kept)
    except LogTamperedError as error:
        _show_findings(error, output)
        raise
    head = found.head
    told = {
        "holds": True,
        "origin": head.origin,
        "first": found.first,
        "last": found.last,
        "size": head.size,
        "root": head.root.hex(),
        "signed_at": head.signed_at,
        "checkpoint": found.checkpoint,
    }
    text = f"the export holds: entries {found.first} to {found.last} of {printable(head.origin)}"
    whole = f"{text}, which held {head.size}, signed {head.signed_at}"
    emit(told, output, lambda console: console.print(Text(whole), soft_wrap=True))


def _as_json(found: LogReport, vouched: Sequence[Witnessed]) -> dict[str, Any]:
    return {
        "holds": True,
        "origin": found.head.origin,
        "size": found.size,
        "root": found.root.hex(),
        "signed_at": found.head.signed_at,
        "checkpoint": found.checkpoint,
        "pruned": {"end": found.pruned.end, "entry": found.pruned.index} if found.pruned else None,
        "unread": found.unread,
        "journal": {"entries": found.journaled, "incomplete": found.incomplete},
        "witnessed": [
            {"witness": one.witness, "size": one.head.size, "time": audit_witness.moment(one.time)} for one in vouched
        ],
    }


def _show(found: LogReport, vouched: Sequence[Witnessed], apart: int, console: Console) -> None:
    console.print(
        Text(f"the log holds: {printable(found.head.origin)}, {found.size} entries, signed {found.head.signed_at}")
    )
    console.print(Text(f"root {found.root.hex()}"), soft_wrap=True)
    if found.unread:
        console.print(Text(f"entries before {found.unread} were not read again: their hashes are those that were kept"))
    if found.pruned:
        last = datetime.fromtimestamp(found.pruned.until / 1000, UTC).date()
        gone = f"entries before {found.pruned.end} were pruned (the last of {last}), as entry {found.pruned.index} says"
        console.print(Text(f"{gone}: their hashes hold, their texts are in archives"))
    if apart:
        console.print(Text(f"{apart} long texts are kept apart, as their entries name them"))
    if found.journaled:
        console.print(Text(f"the last {found.journaled} lie in the journal: the writer has not put them into tiles"))
    if found.incomplete:
        torn = f"the journal ends in a batch of {found.incomplete} that is not part of the log"
        console.print(Text(f"{torn}: torn when the writer died, before it was acknowledged, or damaged since"))
    for one in vouched:
        when = audit_witness.moment(one.time)
        console.print(Text(f"witness {printable(one.witness)} vouches for the first {one.head.size}, as of {when}"))


def _show_findings(error: LogTamperedError, output: OutputFormat) -> None:
    findings = [finding.as_json() for finding in error.findings]

    def render(console: Console) -> None:
        for finding in error.findings:
            console.print(Text(f"{finding.kind}: {printable(finding.detail)}"), soft_wrap=True)

    emit({"holds": False, "findings": findings}, output, render)
