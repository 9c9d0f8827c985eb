"""`sovereign model`: the models of the active release, and what the gate says about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from appliance.cli.terminal import OutputFormat, OutputOption, emit, progress, site_paths
from appliance.errors import RefusedError
from appliance.models.admission import Grounds, examine_model, grounds
from appliance.models.errors import ArtifactError
from appliance.models.record import parse_record

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.models.verdict import Verdict

app = typer.Typer(help="Show the release's models and check them against the site's policy.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of the model in the release.")]
_STYLES = {"pass": "green", "waived": "yellow", "fail": "bold red", "not established": "red", "not required": "dim"}


@app.command("list")
def list_models(context: typer.Context, output: OutputOption = OutputFormat.table) -> None:
    """List the models of the active release, as their signed records describe them."""
    found = grounds(site_paths(context))
    rows = [_summary(found, name) for name in found.models]

    def render(console: Console) -> None:
        table = Table("model", "version", "producer", "law", "licence", Column("digest", overflow="fold"))
        for row in rows:
            table.add_row(
                *(_plain(str(row[k])) for k in ("name", "version", "producer", "jurisdiction", "licence", "digest"))
            )
        console.print(table)

    emit(rows, output, render)


@app.command()
def inspect(context: typer.Context, name: NameArgument, output: OutputOption = OutputFormat.table) -> None:
    """Show one model's signed record: origin, licence, conversion, files."""
    found = grounds(site_paths(context))
    if name not in found.models:
        raise ArtifactError(f"release {found.release.version} has no model {name}", f"its models: {_names(found)}")
    artifact = found.release.artifacts[name]
    record = parse_record(artifact.config).model_dump(by_alias=True)
    files = {title: {"digest": str(f.digest), "size": f.size} for title, f in artifact.files.items()}

    def render(console: Console) -> None:
        table = Table("field", Column("value", overflow="fold"))
        for field, value in _flat(record):
            table.add_row(field, value)
        for title, file in files.items():
            table.add_row(_plain(f"file {title}"), f"{file['digest']} ({file['size']} bytes)")
        console.print(table)

    emit({"record": record, "files": files, "signers": list(found.release.signers)}, output, render)


@app.command()
def verify(context: typer.Context, name: NameArgument, output: OutputOption = OutputFormat.table) -> None:
    """Pass one model through the gate, as every start of its engine does; exit code 3 when it is refused."""
    found = grounds(site_paths(context))
    with progress(f"hashing {name}") as report:
        verdict = examine_model(name, found, report)
    emit({"model": name, **verdict.to_json()}, output, lambda console: _render_verdict(console, verdict))
    if not verdict.ok:
        failed = ", ".join(check.name for check in verdict.failed)
        raise RefusedError(f"{name} does not pass the gate: {failed}", "the table above says why")


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
