"""``sovereign audit``: check the log, count its use, prove one entry. Offline: a folder and verifier keys suffice."""

from __future__ import annotations

import enum
import json
import sys
from datetime import date, datetime  # noqa: TC003 - typer evaluates annotations
from pathlib import Path  # noqa: TC003 - typer evaluates annotations
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from appliance.audit.charges import charges_json
from appliance.audit.export import export_range
from appliance.audit.prove import prove as make_proof
from appliance.audit.tally_cache import open_cache, own_folder
from appliance.audit.usage import build_report
from appliance.audit.usage_csv import render_csv
from appliance.audit.usage_html import render_html
from appliance.audit.usage_table import printable, render_table
from appliance.cli import audit_keeping, audit_receipt, audit_verify, audit_witness
from appliance.cli.audit_looks import looked_at
from appliance.cli.audit_names import NamesOption, names_in, require_nameable
from appliance.cli.audit_options import (
    KeptOption,
    LogOption,
    VkeysOption,
    kept_checkpoint,
    site_prices,
    verifier_keys,
    write_text,
)
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, progress, say
from appliance.errors import UsageError

if TYPE_CHECKING:
    from appliance.audit.tally_cache import TallyCache

app = typer.Typer(no_args_is_help=True)
app.add_typer(audit_witness.app, name="witness")
audit_keeping.register(app)
audit_verify.register(app)
audit_receipt.register(app)


class ReportFormat(enum.StrEnum):
    """How a report is written."""

    table = "table"
    json = "json"
    csv = "csv"
    html = "html"


@app.command()
def report(  # noqa: PLR0913, PLR0917 - typer: one parameter per option
    context: typer.Context,
    log: LogOption = None,
    vkeys: VkeysOption = None,
    kept: KeptOption = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day, UTC.")] = None,
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many users to list.")] = 10,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Keep counted figures here; default: your own cache folder."),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option("--prices", metavar="SITE_YAML", help="Charge groups at this site file's prices (audit.price)."),
    ] = None,
    output: Annotated[
        ReportFormat, typer.Option("--output", help="Print a table, JSON, CSV, or a self-contained HTML page.")
    ] = ReportFormat.table,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to this file.")] = None,
    *,
    names: NamesOption = False,
    passphrase_fd: PassphraseFdOption = None,
) -> None:
    """Report use by day, group and model: requests, refusals, tokens, energy. Every figure is of signed entries.

    How answers ended, those that broke off first, and failed sign-ins are told. Use that is unusual for who did it is
    named, by rules that the report states. Where there are prices, groups are charged.

    What was counted before is kept, and not read again: `verify` says whether it is all still there.
    """
    if names:
        require_nameable(log, to_file=out is not None or output in {ReportFormat.html, ReportFormat.csv})
    with progress("counting", unit="steps") as show:
        usage = build_report(
            looked_at(context, log, "report"),
            vkeys=verifier_keys(context, vkeys),
            since=_day(since),
            until=_day(until),
            top=top,
            kept=kept_checkpoint(kept),
            known=_figures(cache),
            progress=show,
        )
    charged = site_prices(context, prices, log)
    found = usage.as_json() | ({"charges": charges_json(usage, charged)} if charged else {})
    known = names_in(context, usage, passphrase_fd) if names else None
    found |= {"names": known} if known is not None else {}
    if output is ReportFormat.html:
        _write(render_html(usage, charged), out)
    elif output is ReportFormat.csv:
        _write(render_csv(usage, charged), out)
    elif out is not None:
        if output is ReportFormat.table:
            raise UsageError("a table goes to the terminal only", "choose --output html, csv or json")
        _write(json.dumps(found, indent=2, ensure_ascii=False) + "\n", out)
    else:
        emit(found, OutputFormat(output.value), lambda console: render_table(usage, console, charged, known))


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
    bundle = make_proof(looked_at(context, log, f"proof of entry {index}"), index, vkeys=verifier_keys(context, vkeys))
    if out is not None:
        _write(json.dumps(bundle, indent=2) + "\n", out)
        return
    emit(bundle, output, lambda console: console.print(Text(bundle["tlog_proof"].rstrip("\n")), soft_wrap=True))


@app.command()
def export(  # noqa: PLR0913, PLR0917 - typer: one parameter per option
    context: typer.Context,
    first: Annotated[int, typer.Argument(help="Position of the first entry.")],
    last: Annotated[int, typer.Argument(help="Position of the last entry; it is included.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder for the export.")],
    log: LogOption = None,
    vkeys: VkeysOption = None,
    kept: KeptOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Export entries with their proofs and a script that checks them with nothing but Python and the log's keys."""
    with progress("exporting", unit="steps") as report:
        found = export_range(
            looked_at(context, log, f"export of entries {first} to {last}"),
            out,
            first=first,
            last=last,
            vkeys=verifier_keys(context, vkeys),
            kept=kept_checkpoint(kept),
            progress=report,
        )
    made = {"folder": str(out), "first": first, "last": last, "origin": found.head.origin, "size": found.head.size}
    text = f"{out}: entries {first} to {last} of {found.head.size}; check with: python3 {out}/verify.py --vkeys KEYS"
    emit(made, output, lambda console: console.print(Text(printable(text)), soft_wrap=True))


def _figures(given: Path | None) -> TallyCache | None:
    """What was counted before: in the folder that was named, else the caller's own cache folder (XDG), else nowhere."""
    if given is not None:
        return open_cache(given)
    try:
        return open_cache(own_folder())
    except (UsageError, RuntimeError) as error:
        say(f"nothing is kept of what is counted: {error}")
        return None


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _write(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    write_text(text, out)
