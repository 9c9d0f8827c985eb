"""`sovereign model list`, `inspect` and `verify`: what a release and its publishers say, and what the gate says."""

from __future__ import annotations

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
from appliance.cli.terminal import OutputFormat, OutputOption, emit, progress, site_paths
from appliance.errors import RefusedError, UsageError
from appliance.models.admission import Grounds, examine_model, grounds, template_findings, waived_until
from appliance.models.errors import ArtifactError
from appliance.models.record import parse_record
from appliance.site.load import load_site

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.models.verdict import Verdict

app = typer.Typer(help="Sign models, show a release's models, and check both.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of the model in the release.")]
_COLUMNS = ("name", "version", "role", "producer", "jurisdiction", "licence", "served", "waived_until", "digest")
_STYLES = {"pass": "green", "waived": "yellow", "fail": "bold red", "not established": "red", "not required": "dim"}


@app.command("list")
def list_models(context: typer.Context, output: OutputOption = OutputFormat.table) -> None:
    """List the models of the active release: origin as signed, whether the site serves them, until when by waiver."""
    paths = site_paths(context)
    found = grounds(paths)
    served = {model.name for model in load_site(paths.site_yaml).models}
    rows = [_summary(found, name) | {"served": name in served} for name in found.models]

    def render(console: Console) -> None:
        table = Table("model", "version", "role", "producer", "law", "licence", "served", "waived until", "digest")
        for column in table.columns:
            column.overflow = "fold"
        for row in rows:
            until = (row["waived_until"] or "-")[:10]
            shown = {**row, "served": "yes" if row["served"] else "no", "waived_until": until}
            table.add_row(*(_plain(str(shown[key])) for key in _COLUMNS))
        console.print(table)

    emit(rows, output, render)


@app.command()
def inspect(context: typer.Context, name: NameArgument, output: OutputOption = OutputFormat.table) -> None:
    """Show one model's signed record: origin, licence, conversion, files."""
    found = grounds(site_paths(context))
    if name not in found.models:
        raise ArtifactError(f"release {found.release.version} has no model {name}", f"its models: {_names(found)}")
    artifact = found.release.artifacts[name]
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

    shown = {"record": record, "files": files, "signers": list(found.release.signers), "template_findings": findings}
    emit(shown, output, render)


@app.command()
def verify(  # noqa: PLR0913, PLR0917 - two ways to ask, one option per thing that may differ
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="A model of the release, or a folder.")],
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
    found = grounds(site_paths(context))
    with progress(f"hashing {target}") as report:
        verdict = examine_model(target, found, report)
    emit({"model": target, **verdict.to_json()}, output, lambda console: _render_verdict(console, verdict))
    if not verdict.ok:
        failed = ", ".join(check.name for check in verdict.failed)
        raise RefusedError(f"{target} does not pass the gate: {failed}", "the table above says why")


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


def _names(found: Grounds) -> str:
    return ", ".join(found.models) or "none"


def _summary(found: Grounds, name: str) -> dict[str, Any]:
    record = parse_record(found.release.artifacts[name].config)
    waived = waived_until(record, found, datetime.now(UTC))
    return {
        "name": record.name,
        "version": record.version,
        "role": record.role,
        "producer": record.producer.name,
        "jurisdiction": record.producer.jurisdiction,
        "licence": record.licence.spdx,
        "digest": f"sha256:{record.weights.sha256}",
        "size": record.weights.size,
        "signers": list(found.release.signers),
        "waived_until": waived.isoformat(timespec="seconds") if waived else None,
    }


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
