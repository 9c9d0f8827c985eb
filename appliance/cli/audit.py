"""``sovereign audit``: check the log, count its use, prove one entry. Offline: a folder and verifier keys suffice."""

from __future__ import annotations

import enum
import json
import sys
from datetime import date, datetime  # noqa: TC003 - typer reads the annotations at run time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.errors import LogTamperedError
from appliance.audit.prove import prove as make_proof
from appliance.audit.prove import verify_proof
from appliance.audit.usage import build_report
from appliance.audit.usage_html import render_html
from appliance.audit.usage_table import printable, render_table
from appliance.audit.verify import LogReport, verify_log
from appliance.cli.terminal import OutputFormat, OutputOption, emit, progress, say, site_paths
from appliance.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.audit.note import VerifierKey

app = typer.Typer(help="Check the audit log, report use, prove one entry. Works offline.", no_args_is_help=True)

LogOption = Annotated[
    Path | None, typer.Option("--log", metavar="DIR", help="The log's folder; default: the site's own.")
]
VkeysOption = Annotated[
    Path | None,
    typer.Option("--vkeys", metavar="FILE", help="Verifier keys; default: the site's policies/audit-vkeys."),
]
KeptOption = Annotated[
    Path | None,
    typer.Option("--kept", metavar="FILE", help="A checkpoint kept from an earlier look: the log must extend it."),
]


class ReportFormat(enum.StrEnum):
    """How a report is written."""

    table = "table"
    json = "json"
    html = "html"


@app.command()
def verify(  # noqa: PLR0913, PLR0917 - typer: one parameter per option
    context: typer.Context,
    log: LogOption = None,
    vkeys: VkeysOption = None,
    kept: KeptOption = None,
    proof: Annotated[
        Path | None, typer.Option("--proof", metavar="FILE", help="Check this proof bundle instead of a log.")
    ] = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Check every entry, tile and signature of the log; exit 6 and name what is wrong if it does not hold."""
    keys = _keys(context, vkeys)
    if proof is not None:
        _verify_proof(proof, keys, output)
        return
    try:
        with progress("verifying", unit="steps") as report:
            found = verify_log(_log(context, log), vkeys=keys, kept=_kept(kept), progress=report)
    except LogTamperedError as error:
        _show_findings(error, output)
        raise
    emit(_as_json(found), output, lambda console: _show(found, console))


@app.command()
def report(  # noqa: PLR0913, PLR0917 - typer: one parameter per option
    context: typer.Context,
    log: LogOption = None,
    vkeys: VkeysOption = None,
    kept: KeptOption = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day, UTC.")] = None,
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many users to list.")] = 10,
    output: Annotated[
        ReportFormat, typer.Option("--output", help="Print a table, JSON, or a self-contained HTML page.")
    ] = ReportFormat.table,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to this file.")] = None,
) -> None:
    """Report use by day, group and model: requests, refusals, tokens, energy. The log is verified on the way."""
    with progress("counting", unit="steps") as show:
        usage = build_report(
            _log(context, log),
            vkeys=_keys(context, vkeys),
            since=_day(since),
            until=_day(until),
            top=top,
            kept=_kept(kept),
            progress=show,
        )
    if output is ReportFormat.html:
        _write(render_html(usage), out)
    elif out is not None:
        if output is ReportFormat.table:
            raise UsageError("a table goes to the terminal only", "choose --output html or --output json")
        _write(json.dumps(usage.as_json(), indent=2, ensure_ascii=False) + "\n", out)
    else:
        emit(usage.as_json(), OutputFormat(output.value), lambda console: render_table(usage, console))


@app.command()
def prove(  # noqa: PLR0913, PLR0917 - typer: one parameter per option
    context: typer.Context,
    index: Annotated[int, typer.Argument(help="Position of the entry; a receipt names it.")],
    log: LogOption = None,
    vkeys: VkeysOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the proof bundle here.")] = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Prove that one entry is in the signed log; the bundle is checked with `verify --proof`, without the log."""
    bundle = make_proof(_log(context, log), index, vkeys=_keys(context, vkeys))
    if out is not None:
        _write(json.dumps(bundle, indent=2) + "\n", out)
        return
    emit(bundle, output, lambda console: console.print(Text(bundle["tlog_proof"].rstrip("\n")), soft_wrap=True))


def _verify_proof(path: Path, keys: tuple[VerifierKey, ...], output: OutputFormat) -> None:
    try:
        bundle = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"the proof {path} cannot be read: {error}") from error
    event = verify_proof(bundle, vkeys=keys)
    result = {"proven": True, "index": bundle["index"], "event": event}
    text = json.dumps(event, indent=2)
    emit(result, output, lambda console: console.print(Text(f"entry {bundle['index']} is in the signed log\n{text}")))


def _log(context: typer.Context, given: Path | None) -> Path:
    return given if given is not None else site_paths(context).audit_log


def _keys(context: typer.Context, given: Path | None) -> tuple[VerifierKey, ...]:
    return read_vkeys(given if given is not None else site_paths(context).policies / "audit-vkeys")


def _kept(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the kept checkpoint {path} cannot be read: {error}") from error


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _write(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from error
    say(f"written: {out}")


def _as_json(found: LogReport) -> dict[str, Any]:
    return {
        "holds": True,
        "origin": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "signed_at": found.signed_at,
        "checkpoint": found.checkpoint,
    }


def _show(found: LogReport, console: Console) -> None:
    console.print(Text(f"the log holds: {printable(found.origin)}, {found.size} entries, signed {found.signed_at}"))
    console.print(Text(f"root {found.root.hex()}"), soft_wrap=True)


def _show_findings(error: LogTamperedError, output: OutputFormat) -> None:
    findings = [finding.as_json() for finding in error.findings]

    def render(console: Console) -> None:
        for finding in error.findings:
            console.print(Text(f"{finding.kind}: {printable(finding.detail)}"), soft_wrap=True)

    emit({"holds": False, "findings": findings}, output, render)
