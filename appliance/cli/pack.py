"""`sovereign pack build`, `sign` and `inspect`: a pack before it reaches a site. None of them needs one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from airgap_bundle import durable
from airgap_bundle.errors import BundleError, VerificationError
from airgap_bundle.keys import write_new
from airgap_bundle.metadata import MAX_METADATA_BYTES
from airgap_bundle.pack_signature import sign_pack, verify_pack
from airgap_bundle.signing.described import follow_roots
from airgap_bundle.trust_state import TrustState
from appliance.cli.root_files import RootOption, read_roots
from appliance.cli.signers import PinFdOption, opened
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, site_paths
from appliance.errors import RefusedError, UsageError
from appliance.install.pack_import import beside, clock, read_file
from appliance.packs.content import MAX_BYTES, Pack, digest_of, read_pack
from appliance.packs.folder import build_pack
from appliance.packs.wording import instructions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

app = typer.Typer(no_args_is_help=True)
MAX_DAYS = 1100
FileArgument = Annotated[Path, typer.Argument(metavar="FILE.pack", help="The pack.")]


@app.command()
def build(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="pack.yaml, glossary.csv and cases.jsonl.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The pack; default: NAME-VERSION.pack here.")
    ] = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Make a pack of a folder: one file, the same from equal folders on any machine.

    Example: `sovereign pack build packs/customer-care`.
    """
    pack = build_pack(folder)
    path = out or Path(f"{pack.name}-{pack.version}.pack")
    write_new(path, pack.to_bytes(), 0o644)
    emit(
        {"file": str(path), **_summary(pack)},
        output,
        lambda console: console.print(f"{path}: {pack.digest}, {len(pack.cases)} cases", markup=False, soft_wrap=True),
    )


@app.command()
def sign(  # noqa: PLR0913 - one option per thing that the signature says
    *,
    context: typer.Context,
    file: FileArgument,
    key: Annotated[Path, typer.Option("--key", metavar="NAME.key", help="Key of a person who may bring models.")],
    root: RootOption = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=MAX_DAYS, help="How long the signatures let a group be put under it.")
    ] = 365,
    passphrase_fd: PassphraseFdOption = None,
    pin_fd: PinFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Add a person's signatures to the file beside the pack; the root says who may, and how many have to.

    Without --root it is that of the site. Whoever signs first says until when; read what you sign with `inspect`.
    """
    data = read_file(file, MAX_BYTES)
    pack = read_pack(data, file.name)
    held = _root_for(context, root)
    if held is None:
        raise UsageError("the root says who may sign, and there is none", "give it with --root")
    now = datetime.now(UTC).replace(microsecond=0)
    target = beside(file)
    former = read_file(target, MAX_METADATA_BYTES) if target.exists() else None
    with opened(key, passphrase_fd, pin_fd) as signer:
        signed, counted = sign_pack(
            data,
            name=pack.name,
            number=pack.number,
            signer=signer,
            root=held,
            now=now,
            expires=now + timedelta(days=days),
            former=former,
        )
    durable.replace(target, signed)
    shown = {
        "file": str(target),
        "pack": pack.digest,
        "signed": list(counted.signed),
        "threshold": counted.threshold,
        "complete": len(counted.signed) >= counted.threshold,
    }
    emit(shown, output, lambda console: console.print(f"{target}: signed by {counted}", markup=False, soft_wrap=True))


@app.command()
def inspect(
    context: typer.Context,
    file: FileArgument,
    root: RootOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Show what a pack says and what its signatures are worth; exit code 3 where they are refused.

    They are judged by the site's root, or by --root; without either, or unsigned, nothing is established.
    """
    data = read_file(file, MAX_BYTES)
    pack = read_pack(data, file.name)
    verdict, detail, refusal = _verdict(context, file, data, root)
    shown = {**_summary(pack), "verdict": verdict, "detail": detail, "instructions": instructions_of(pack)}
    emit(shown, output, lambda console: _draw(console, shown))
    if refusal is not None:
        raise RefusedError(f"{file.name} is refused: {refusal.cause}", refusal.hint)


def _verdict(
    context: typer.Context, file: Path, data: bytes, root: Sequence[Path] | None
) -> tuple[str, str, VerificationError | None]:
    if not beside(file).exists():
        return "not established", "there are no signatures beside it", None
    held = _root_for(context, root)
    if held is None:
        return "not established", "no root says who may sign: give it with --root", None
    pack = read_pack(data, file.name)
    try:
        said = verify_pack(read_file(beside(file), MAX_METADATA_BYTES), data, held, _now(context))
    except VerificationError as error:
        return "fail", error.cause, error
    if (said.name, said.number) != (pack.name, pack.number):
        return "fail", "another name or number was signed", VerificationError("another name or number was signed")
    signers = ", ".join(said.signers)
    return "pass", f"signed under root {said.root} by {signers} until {said.expires:%Y-%m-%d}", None


def _root_for(context: typer.Context, given: Sequence[Path] | None) -> bytes | None:
    """The root that was given, every link to it verified; else the site's, if there is one."""
    if given:
        roots = read_roots(given)
        follow_roots(roots)
        return roots[max(roots)]
    found = _trust(context)
    return found.root if found is not None else None


def _trust(context: typer.Context) -> TrustState | None:
    try:
        return TrustState.find(site_paths(context).trust)
    except BundleError:
        return None


def _now(context: typer.Context) -> datetime:
    found = _trust(context)
    return clock(found) if found is not None else datetime.now(UTC)


def _summary(pack: Pack) -> dict[str, Any]:
    return {
        "pack": digest_of(pack.to_bytes()),
        "name": pack.name,
        "version": pack.version,
        "number": pack.number,
        "language": pack.language,
        "title": pack.title,
        "producer": pack.producer,
        "licence": pack.licence,
        "sources": list(pack.sources),
        "terms": len(pack.glossary),
        "boundaries": [one.id for one in pack.boundaries],
        "cases": len(pack.cases),
        "vital": sum(one.vital for one in pack.cases),
        "adapter": pack.adapter.name if pack.adapter is not None else None,
    }


def _draw(console: Console, shown: dict[str, Any]) -> None:
    table = Table("field", Column("value", overflow="fold"))
    for name, value in shown.items():
        table.add_row(name, Text(", ".join(map(str, value)) if isinstance(value, list) else str(value)))
    console.print(table)
