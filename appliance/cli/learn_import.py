"""`sovereign learn import`: what sites sent, verified and merged into a folder that is kept in version control."""

from __future__ import annotations

import io
from datetime import date, timedelta
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from airgap_bundle.errors import VerificationError
from airgap_bundle.media.return_bundle import KINDS, Manifest, ReturnFile, verify_return
from appliance.cli.learn_draft import read_bounded
from appliance.cli.terminal import OutputFormat, OutputOption, emit, say
from appliance.errors import UsageError
from appliance.learning.errors import ExchangeRefusedError
from appliance.learning.exchange.export import MAX_BYTES, NAME, read_export
from appliance.learning.exchange.folder import KEYS, blocked_lines, read_folder, read_keys, write_folder
from appliance.learning.exchange.merging import known
from appliance.memory.parsing.blocks import cleaned

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from airgap_bundle.keys import PublicSigner
    from appliance.learning.exchange.export import Export
    from appliance.learning.exchange.folder import Held
    from appliance.learning.exchange.merging import Decision, Merged

_AROUND = 64 << 10
"""Bytes of a return bundle beside what is in it: its statement and its headers."""
_EXCERPT = 100
DigestsOption = Annotated[
    list[str], typer.Option("--keep", metavar="DIGEST", help="A case goes on, whatever disagrees.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the group ``learn``."""
    app.command("import")(import_command)


def import_command(  # noqa: PLR0913 - one parameter per option
    bundles: Annotated[
        list[Path] | None, typer.Argument(metavar="RETURN-BUNDLE", help="What sites sent, in any order.")
    ] = None,
    *,
    into: Annotated[
        Path, typer.Option("--into", metavar="FOLDER", help="The folder, with keys/NAME.pub of the sites.")
    ],
    keep: DigestsOption = [],  # noqa: B006 - typer reads it and never changes it
    drop: Annotated[
        list[str], typer.Option("--drop", metavar="DIGEST", help="A case is retired, wherever a release goes.")
    ] = [],  # noqa: B006 - as above
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would come of it; write nothing.")] = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Verify what sites sent and merge it by digest: all bundles, or on any refusal none.

    The newest export of each site counts. What sites disagree on is blocked until somebody gives --keep or --drop for
    it. Example: `sovereign learn import north.return south.return --into learnt`.
    """
    if not into.is_dir():
        raise UsageError(f"{into} is no folder", f"make it, and put the sites' public keys into {into}/{KEYS}")
    before = read_folder(into)
    keys = read_keys(into)
    came = [_received(path, keys) for path in bundles or []]
    after = before.take(came, _decisions(before, came, keep, drop))
    found = after.merged()
    if not dry_run:
        write_folder(into, after, found)
    shown = _shown(before, after, found, [export for export, _ in came])
    emit({**shown, "written": not dry_run}, output, lambda console: _draw(console, shown))
    if found.blocked:
        say(f"blocked: {len(found.blocked)} cases, in blocked.jsonl; give --keep or --drop with their digests")


def _received(path: Path, keys: Sequence[PublicSigner]) -> tuple[Export, str]:
    """An export and its key's fingerprint. Raises ``ExchangeRefusedError`` for what no known site signed."""
    data = read_bounded(path, MAX_BYTES + _AROUND)
    content = io.BytesIO()

    def keep(file: ReturnFile) -> io.BytesIO:
        if (file.name, file.type) != (NAME, KINDS["learning"]) or content.tell():
            raise ExchangeRefusedError(f"{path.name} holds {file.name}, and not what a site learnt alone")
        return content

    try:
        manifest = verify_return(io.BytesIO(data), keys, keep)
    except VerificationError as error:
        hint = f"the sites that may send have their keys in {KEYS}/"
        raise ExchangeRefusedError(f"{path.name}: {error.cause}", error.hint or hint) from error
    export = read_export(content.getvalue(), path.name)
    _check_sender(export, manifest, path.name)
    key = next(one for one in keys if one.name == manifest.site)
    return export, str(key.fingerprint)


def _check_sender(export: Export, manifest: Manifest, name: str) -> None:
    if export.head.site != manifest.site:
        raise ExchangeRefusedError(f"{name}: {manifest.site} sent what says it is from {export.head.site}")
    if date.fromisoformat(export.head.made) > manifest.made.date() + timedelta(days=1):
        raise ExchangeRefusedError(f"{name}: it was sent before it was made")


def _decisions(
    before: Held, came: Iterable[tuple[Export, str]], keep: Sequence[str], drop: Sequence[str]
) -> dict[str, Decision]:
    there = known([*before.sites.values(), *(export for export, _ in came)]) | set(before.decisions)
    if unknown := [one for one in (*keep, *drop) if one not in there]:
        raise UsageError(f"{unknown[0]!a} is not the digest of a case here", "blocked.jsonl and cases.jsonl name them")
    if both := set(keep) & set(drop):
        raise UsageError(f"{min(both)} is to be kept and dropped", "decide")
    kept: dict[str, Decision] = dict.fromkeys(keep, "keep")
    return {**kept, **dict.fromkeys(drop, "drop")}


def _shown(before: Held, after: Held, found: Merged, came: Sequence[Export]) -> dict[str, Any]:
    had = known(before.sites.values())
    sites = [
        {
            "site": site,
            "number": export.head.number,
            "cases": len(export.cases),
            "new": len({line.digest for line in export.cases} - had),
            "retired": len(export.retired),
            "failures": sum(one.count for one in export.failures),
            "approvals": export.head.approvals,
            "came": export in came,
        }
        for site, export in sorted(after.sites.items())
    ]
    return {
        "sites": sites,
        "cases": len(found.cases),
        "new": sum(one.digest not in had for one in found.cases),
        "retired": len(found.retired),
        "blocked": blocked_lines(found),
    }


def _draw(console: Console, shown: dict[str, Any]) -> None:
    table = Table("site", "export", "cases", "new", "retired", "failures", "approved by")
    for one in shown["sites"]:
        fields = ("number", "cases", "new", "retired", "failures", "approvals")
        table.add_row(one["site"], *(str(one[field]) for field in fields))
    console.print(table, markup=False)
    console.print(f"{shown['cases']} cases go, {shown['new']} of them new; {shown['retired']} retired", markup=False)
    for one in shown["blocked"]:
        case = one["case"]
        said = f"{cleaned(case['question'])} → {case['kind']}: {cleaned(' · '.join(case['expected']))}"
        why = "retired elsewhere" if one["retired_by"] else f"against {len(one['against'])}"
        console.print(
            f"blocked {one['digest']}\n  {said[:_EXCERPT]} ({', '.join(one['held_by'])}; {why})", markup=False
        )
