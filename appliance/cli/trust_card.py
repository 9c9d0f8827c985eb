"""`sovereign trust card`: what signers publish so that a site which has nothing yet can begin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle import durable
from airgap_bundle.digest import sha256
from airgap_bundle.first_contact import card as first_contact
from appliance.cli.terminal import OutputFormat, OutputOption, emit
from appliance.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console


RootArgument = Annotated[Path, typer.Argument(metavar="N.root.json", help="The root in force: the newest one.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that receives both files.")]


def register(app: typer.Typer) -> None:
    """Add the command to the group ``trust``."""
    app.command("card")(card)


def card(root: RootArgument, out: OutOption, output: OutputOption = OutputFormat.table) -> None:
    """Write what a new site begins with, the card site-start.txt and the script first-contact.sh, and what to read out.

    The card follows from the root: every signer can make it and must get the same. Send both files to the site on any
    way; read the card's sha256 out on a way that nobody between can change, from person to person.
    """
    made = first_contact.of_root(_read(root))
    data = made.to_bytes()
    _write(out, {first_contact.FILE: data, first_contact.SCRIPT: first_contact.script()})
    digest = sha256(data).hex
    groups = first_contact.spoken(digest)
    names = [name for name, _ in made.keys]
    summary = {
        "card": str(out / first_contact.FILE),
        "script": str(out / first_contact.SCRIPT),
        "sha256": digest,
        "groups": [group for group, _ in groups],
        "script_sha256": made.script,
        "root_fingerprint": f"sha256:{made.root}",
        "threshold": made.threshold,
        "persons": names,
    }

    def render(console: Console) -> None:
        console.print(f"{summary['card']}\n{summary['script']}", markup=False, soft_wrap=True)
        console.print(f"{made.threshold} of {len(made.keys)}: {', '.join(names)}", markup=False)
        console.print(f"sha256 of the card: {digest}", markup=False, soft_wrap=True)
        console.print("read it out to the site, group by group:")
        for number, (group, words) in enumerate(groups, 1):
            console.print(f"  {number:>2}  {group}  {words}", markup=False)

    emit(summary, output, render)


def _write(folder: Path, files: dict[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made: {str(error.strerror).lower()}", "name a folder with --out"
        ) from error
    durable.replace_all({folder / name: data for name, data in files.items()})


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {str(error.strerror).lower()}", "name a root file") from error
