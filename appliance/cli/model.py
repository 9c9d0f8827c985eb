"""`sovereign model list`, `inspect` and `verify`: what a site holds, what publishers say, and what the gate says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from airgap_bundle.provenance.errors import OtherModelError
from airgap_bundle.provenance.folder import SIGNATURE_NAME, check_folder
from airgap_bundle.provenance.publisher_signature import verify_signature
from airgap_bundle.provenance.publishers import Publisher, parse_certificates, parse_public_key
from appliance.cli.model_publish import read_file, signature_inside
from appliance.cli.terminal import OutputFormat, OutputOption, emit, progress, say, site_paths
from appliance.errors import RefusedError, UsageError
from appliance.install.model_list import Listed, list_models
from appliance.models.admission import examine_model, grounds, template_findings
from appliance.models.errors import ArtifactError
from appliance.models.record import parse_record
from appliance.models.shelf import Held, absent, held_models, in_force

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.models.verdict import Verdict
    from appliance.site.paths import SitePaths

app = typer.Typer(no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of the model.")]
DigestOption = Annotated[
    str | None,
    typer.Option(
        "--digest", metavar="sha256:…", help="Which one, by the beginning of its digest; default: what serves."
    ),
]
_STATES = {"serving": "bold green", "withdrawn": "red", "unknown": "red", "damaged": "red", "former": "dim"}
_STYLES = {"pass": "green", "waived": "yellow", "fail": "bold red", "not established": "red", "not required": "dim"}


@app.command("list")
def show_models(context: typer.Context, output: OutputOption = OutputFormat.table) -> None:
    """List the site's models: which serves since when and by whom, who signed it, and what policy says of it."""
    rows = list_models(site_paths(context))

    def render(console: Console) -> None:
        console.print(_overview(rows))
        for row in rows:
            if row.note:
                console.print(_plain(f"{row.name} {row.digest[:19]}: {row.note}" if row.name else row.note))

    emit([row.data() for row in rows], output, render)
    for row in rows:
        if row.state == "damaged" and row.note:
            say(row.note)


def _overview(rows: tuple[Listed, ...]) -> Table:
    table = Table("model", "digest", "role", "state", "since", "by", "signed by", "policy")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        state = Text(row.state, style=_STATES.get(row.state, ""))
        policy = Text(row.verdict, style="" if row.accepted else "red")
        since = row.since[:16].replace("T", " ") or "-"
        what = f"{row.name} {row.version}" if row.name else f"bundle {row.bundle}"
        words = (what, row.digest.removeprefix("sha256:")[:12], row.role)
        who = (since, row.by or "-", ", ".join(row.signers))
        table.add_row(*map(_plain, words), state, *map(_plain, who), policy)
    return table


@app.command()
def inspect(
    context: typer.Context,
    name: NameArgument,
    digest: DigestOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Show one model's signed record: origin, licence, conversion, files."""
    held = _held(site_paths(context), name, digest)
    artifact = held.artifact
    record = parse_record(artifact.config).model_dump(by_alias=True, exclude_none=True)
    files = {title: {"digest": str(f.digest), "size": f.size} for title, f in artifact.files.items()}
    findings = [str(finding) for finding in template_findings(artifact)]

    def render(console: Console) -> None:
        table = Table("field", Column("value", overflow="fold"))
        for field, value in _flat(record):
            table.add_row(field, value)
        for title, file in files.items():
            table.add_row(_plain(f"file {title}"), f"{file['digest']} ({file['size']} bytes)")
        for finding in findings:
            table.add_row("template", _plain(finding))
        console.print(table)

    shown = {"record": record, "files": files, "signers": list(held.bundle.signers), "template_findings": findings}
    emit(shown, output, render)


@app.command()
def verify(  # noqa: PLR0913, PLR0917 - two ways to ask, one option per thing that may differ
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="A model of the site, or a folder.")],
    publisher: Annotated[
        list[Path] | None,
        typer.Option("--publisher", metavar="PEM", help="Public key or root of a publisher you trust; repeatable."),
    ] = None,
    signature: Annotated[
        Path | None, typer.Option("--signature", metavar="FILE", help=f"Default: FOLDER/{SIGNATURE_NAME}.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name that must have been signed; default: the folder's.")
    ] = None,
    digest: DigestOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Pass one model through the gate, as every start of its engine does; exit code 3 when it is refused.

    With --publisher, check a folder against its publisher's signature instead (OpenSSF Model Signing 1.0): every file
    signed, nothing besides. That needs no site.
    """
    if publisher:
        _verify_folder(Path(target), publisher, signature, name, output)
        return
    if signature is not None or name is not None or "/" in target:
        raise UsageError("a folder is checked against a publisher", "name its key or root with --publisher")
    paths = site_paths(context)
    held = _held(paths, target, digest)
    with progress(f"hashing {target}") as report:
        verdict = examine_model(target, replace(grounds(paths), release=held.bundle), report)
    emit({"model": target, **verdict.to_json()}, output, lambda console: _render_verdict(console, verdict))
    if not verdict.ok:
        failed = ", ".join(check.name for check in verdict.failed)
        raise RefusedError(f"{target} does not pass the gate: {failed}", "the table above says why")


def _held(paths: SitePaths, name: str, digest: str | None) -> Held:
    """The model ``name``: the one that serves, or one whose digest begins with ``digest``. Raises ``ArtifactError``.

    Where none serves, as nobody decided for it yet, the one of the newest bundle of models that has it.
    """
    active = grounds(paths).release
    models = held_models(paths, active)
    asked = digest is None and name not in absent(paths, (name,), active)
    serving = in_force(paths, name, active) if asked else None
    named = [held for held in models if held.name == name and (serving is None or held.bundle.digest == serving.digest)]
    found = [held for held in named if digest is None or held.matches(digest)]
    if not found:
        known = ", ".join(sorted({held.name for held in models})) or "none"
        raise ArtifactError(
            f"this site has no model {name}{f' with digest {digest}' if digest else ''}", f"there: {known}"
        )
    return next((held for held in found if held.withdrawn is None), found[0])


def _verify_folder(
    folder: Path, trusted: list[Path], signature: Path | None, name: str | None, output: OutputFormat
) -> None:
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", "name the folder that holds the model's files")
    source = signature or folder / SIGNATURE_NAME
    found = verify_signature(read_file(source), [_publisher(path) for path in trusted], datetime.now(UTC))
    said = found.manifest.identity
    wanted = name or folder.resolve().name
    if said.name != wanted:
        raise OtherModelError(f"the publisher signed {said.name!r:.80}, not {wanted!r:.80}", "name it with --name")
    with progress(f"hashing {folder.name}") as report:
        check_folder(folder, found.manifest, signature=signature_inside(folder, source), progress=report)
    count = len(found.manifest.by_path())
    result = {
        "folder": str(folder),
        "publisher": found.publisher,
        "key": found.key,
        "name": said.name,
        "version": said.version,
        "role": said.role,
        "digest": f"sha256:{found.manifest.root}",
        "files": count,
    }

    def render(console: Console) -> None:
        about = " ".join(part for part in (said.name, said.version, f"({said.role})" if said.role else None) if part)
        console.print(_plain(f"{folder}: {count} files of {about}, all signed by {found.publisher}"))
        console.print(f"sha256:{found.manifest.root}", markup=False, soft_wrap=True)

    emit(result, output, render)


def _publisher(path: Path) -> Publisher:
    """The publisher whose key or roots are in ``path``, called as the file is."""
    data = read_file(path)
    if b"BEGIN CERTIFICATE" in data:
        return Publisher(path.stem, roots=parse_certificates(data))
    return Publisher(path.stem, keys=(parse_public_key(data),))


def _render_verdict(console: Console, verdict: Verdict) -> None:
    table = Table("check", "verdict", Column("detail", overflow="fold"))
    for check in verdict.checks:
        table.add_row(check.name, f"[{_STYLES[check.status]}]{check.status}[/]", _plain(check.detail))
    console.print(table)
    for waiver in verdict.waivers_used:
        console.print(
            f"waiver by {waiver.officer} until {waiver.expires:%Y-%m-%d}: {', '.join(sorted(waiver.waives))} "
            f"({waiver.reason})",
            markup=False,
        )


def _plain(text: str) -> Text:
    """Words of a record or a file, shown as text: no markup, no control characters."""
    return Text("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text))


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Text]]:
    """Nested fields as ``a.b`` lines."""
    lines: list[tuple[str, Text]] = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += _flat(item, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, item)) if isinstance(item, list) else str(item)
            lines.append((f"{prefix}{key}", _plain(text)))
    return lines
