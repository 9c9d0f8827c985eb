"""`sovereign bundle inputs`: carrying what a release is made of from one builder to another."""

from __future__ import annotations

import importlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.input_archive import export_inputs, import_inputs
from appliance.cli.bundle_build import DEFAULT_RELEASE, LockOption, ReleaseOption, require_builder
from appliance.cli.sizes import size_text
from appliance.cli.terminal import OutputFormat, OutputOption, emit, progress

if TYPE_CHECKING:
    from rich.console import Console

    from airgap_bundle.build.input_archive import Carried

ToOption = Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder that receives the inputs, by digest.")]
SourceArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `inputs export` wrote.")]

app = typer.Typer(help="Carry locked inputs between builders: Debian drops old versions.", no_args_is_help=True)


@app.command("export")
def export(
    to: ToOption,
    release: ReleaseOption = DEFAULT_RELEASE,
    lock_file: LockOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Copy everything that the lock names out of the cache: what was fetched, and what was compiled from it."""
    require_builder()
    description = importlib.import_module("airgap_bundle.build.description").load_description(release)
    _told(export_inputs(description.lock(lock_file), BuildCache.default(), to, progress), "exported", output)


@app.command("import")
def take(
    source: SourceArgument,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Take exported inputs into this builder's cache; every file is hashed on its way in."""
    _told(import_inputs(source, BuildCache.default(), progress), "imported", output)


def register(bundle: typer.Typer) -> None:
    """Mount the group in ``bundle``."""
    bundle.add_typer(app, name="inputs")


def _told(carried: Carried, verb: str, output: OutputFormat) -> None:
    def render(console: Console) -> None:
        there = f", {carried.present} were there" if carried.present else ""
        console.print(f"{verb} {carried.files} files{there}; {size_text(carried.size)} in all", markup=False)

    emit(asdict(carried), output, render)
