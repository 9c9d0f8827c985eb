"""`sovereign bundle diff | delta`: a release against what a site holds, on the builder's side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from airgap_bundle import keys
from airgap_bundle.errors import FormatError, MalformedError, StoreError
from airgap_bundle.media.delta import compare, write_delta
from airgap_bundle.media.inventory import INVENTORY_TYPE, MAX_INVENTORY_BYTES, Inventory
from airgap_bundle.media.return_bundle import read_only_file
from appliance.cli.bundle import BundleArgument  # noqa: TC001 - typer reads annotations at run time
from appliance.cli.sizes import size_text
from appliance.cli.terminal import OutputFormat, OutputOption, emit, progress

if TYPE_CHECKING:
    from rich.console import Console

    from airgap_bundle.media.delta import Difference

InventoryOption = Annotated[
    Path, typer.Option("--inventory", metavar="FILE", help="What `sovereign inventory export` wrote on the site.")
]
SiteKeyOption = Annotated[
    Path, typer.Option("--site-key", metavar="SITE.pub", help="The site's public key, from `sovereign return key`.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``bundle``."""
    for command in (diff, delta):
        app.command(command.__name__)(command)


def diff(
    bundle: BundleArgument,
    inventory: InventoryOption,
    site_key: SiteKeyOption,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Show what a release adds to what a site holds: artifact by artifact, in bytes."""
    found = compare(bundle, _inventory(inventory, site_key))
    emit(found.to_json(), output, lambda console: _render(found, console))


def delta(
    bundle: BundleArgument,
    inventory: InventoryOption,
    site_key: SiteKeyOption,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New folder that receives the delta.")],
    output: OutputOption = OutputFormat.table,
) -> None:
    """Write a bundle without the blobs that a site holds. The site takes it like a full one, by the same checks.

    It is the same signed release: nothing is signed anew. Pack or split it as you would the full bundle.
    """
    known = _inventory(inventory, site_key)
    with progress("writing") as advance:
        found = write_delta(bundle, known, out, progress=advance)

    def render(console: Console) -> None:
        _render(found, console)
        console.print(f"{out}: {size_text(found.carried)} to carry", markup=False)

    emit({"folder": str(out), **found.to_json()}, output, render)


def _inventory(file: Path, site_key: Path) -> Inventory:
    """The inventory in the return bundle ``file``, signed by the site that ``site_key`` names."""
    known = keys.load_public(site_key)
    try:
        with file.open("rb") as stream:
            data = read_only_file(stream, [known], INVENTORY_TYPE, MAX_INVENTORY_BYTES)
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}", "name the file that the site exported") from error
    try:
        found = Inventory.parse(data)
    except FormatError as error:
        raise MalformedError(error.cause, error.hint) from error
    if found.site != known.name:
        raise MalformedError(f"the inventory is of {found.site}, and {known.name} signed it")
    return found


def _render(found: Difference, console: Console) -> None:
    active = found.active or "nothing"
    console.print(f"{found.release} {found.version} (number {found.number}) for {found.site}", markup=False)
    console.print(f"which ran {active} on {found.made}", markup=False)
    table = Table("artifact", "kind", "version", box=None, pad_edge=False)
    for column in ("new", "of"):
        table.add_column(column, justify="right")
    for row in found.artifacts:
        table.add_row(row.name, row.kind, row.version, size_text(row.new) if row.new else "-", size_text(row.size))
    console.print(table)
    console.print(f"new: {found.new_blobs} blobs, {size_text(found.new)}", markup=False)
    console.print(f"the site holds: {found.held_blobs} blobs, {size_text(found.held)}", markup=False)
    console.print(f"no longer used: {found.unused_blobs} blobs, {size_text(found.unused)}", markup=False)
