"""`sovereign return`: what goes back across the gap, signed by the site, listed in full before it is written."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from airgap_bundle import durable, keys, strict_json
from airgap_bundle.digest import sha256
from airgap_bundle.media.return_bundle import (
    KINDS,
    Manifest,
    describe,
    extract_return,
    read_claims,
    verify_return,
)
from appliance.cli.reached import reached
from appliance.cli.sizes import size_text
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    read_passphrase,
    say,
    site_paths,
)
from appliance.errors import UsageError
from appliance.install.site_export import audit_entry, export
from appliance.install.site_identity import site_signer
from appliance.install.vault import Vault
from appliance.site.load import load_site

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from airgap_bundle.keys import Signer

app = typer.Typer(no_args_is_help=True)

OutFileOption = Annotated[Path, typer.Option("--out", metavar="FILE", help="New file that receives the return bundle.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask: what is listed may leave.")]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A return bundle.")]


@app.command()
def build(  # noqa: PLR0913 - typer: one parameter per option
    context: typer.Context,
    *,
    files: Annotated[
        list[str], typer.Option("--file", metavar="KIND=FILE", help=f"A file to send; kinds: {', '.join(KINDS)}.")
    ],
    out: OutFileOption,
    yes: YesOption = False,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Put files into one signed bundle for the other side; shows every one before anything is written."""
    with ExitStack() as opened:
        contents = {}
        for given in files:
            kind, _, path = given.partition("=")
            if Path(path).name in contents:
                raise UsageError(f"two files are named {Path(path).name}", "rename one of them")
            contents[Path(path).name] = (kind, opened.enter_context(_open(Path(path))))
        send(context, contents, out, yes=yes, passphrase_fd=passphrase_fd, output=output)


@app.command()
def inspect(file: FileArgument, output: OutputOption = OutputFormat.table) -> None:
    """Show what a return bundle says it holds; nothing of it is verified."""
    with _open(file) as stream:
        found = read_claims(stream)
    emit({"verified": False, **found.to_json()}, output, lambda console: _render(found, console, "nothing is verified"))


@app.command()
def verify(
    file: FileArgument,
    site_key: Annotated[Path, typer.Option("--site-key", metavar="SITE.pub", help="The site's public key.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="New folder that receives the files, once verified.")
    ] = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Check every byte of a return bundle against a site's public key; writes regular files, and runs nothing."""
    known = [keys.load_public(site_key)]
    with _open(file) as stream:
        found = verify_return(stream, known) if out is None else extract_return(stream, known, out)
    verdict = f"every byte as signed by {found.site}" + (f"; written to {out}" if out else "")
    emit({"verified": True, **found.to_json()}, output, lambda console: _render(found, console, verdict))


@app.command()
def key(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="SITE.pub", help="New file that receives the public key.")],
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Write this site's public key, for those who receive from it; read its digest out on another way than this file's.

    The key is made when first needed and sealed like every secret of the site.
    """
    if out.exists():
        raise UsageError(f"{out} exists", "name a new file")
    data = strict_json.dumps(_signer(context, passphrase_fd).public.to_json()) + b"\n"
    durable.replace(out, data)
    shown = {"file": str(out), "sha256": sha256(data).hex}
    emit(shown, output, lambda console: console.print(f"{out}\nsha256 {shown['sha256']}", markup=False, soft_wrap=True))


def send(  # noqa: PLR0913 - what to send, where to, and how to ask
    context: typer.Context,
    contents: Mapping[str, tuple[str, BinaryIO]],
    out: Path,
    *,
    yes: bool,
    passphrase_fd: int | None,
    output: OutputFormat,
) -> None:
    """Show ``contents`` (kind and stream by name), ask, and write them as the return bundle ``out``."""
    paths = reached(context)
    manifest = describe(load_site(paths.administered).name, datetime.now(UTC).replace(microsecond=0), contents)
    say(f"to leave this site, in {out}:")
    for file in manifest.files:
        say(f"  {size_text(file.size):>10}  {file.name}  {file.type}")
        say(f"              sha256 {file.sha256.hex}")
    if not yes:
        _ask()
    signer = _signer(context, passphrase_fd)
    digest = export(out, manifest, {name: stream for name, (_, stream) in contents.items()}, signer, audit_entry(paths))
    data: dict[str, Any] = {"file": str(out), "sha256": digest.hex, **manifest.to_json()}
    emit(data, output, lambda console: console.print(f"{out}\nsha256 {digest.hex}", markup=False, soft_wrap=True))


def _ask() -> None:
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to say whether this may leave", "give --yes once you have read the list")
    if not typer.confirm("may this leave the site?", err=True):
        raise UsageError("not written", "answer y, or give --yes")


def _signer(context: typer.Context, passphrase_fd: int | None) -> Signer:
    paths = site_paths(context)
    vault = Vault(paths, lambda: read_passphrase("passphrase of the site key", passphrase_fd))
    return site_signer(paths, vault, load_site(paths.administered).name)


def _open(path: Path) -> BinaryIO:
    """A regular file, read once more from its beginning where needed; its bytes are what was shown, or refused."""
    try:
        if not path.is_file():
            raise UsageError(f"{path} is no file", "name a regular file")
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _render(found: Manifest, console: Console, verdict: str) -> None:
    console.print(f"from {found.site}, made {found.made:%Y-%m-%dT%H:%M:%SZ}", markup=False)
    for file in found.files:
        console.print(f"  {size_text(file.size):>10}  {file.name}  {file.type}", markup=False, soft_wrap=True)
    console.print(verdict, markup=False, style="bold")
