"""`sovereign trust keygen`: one person's keys, in a file or with the Ed25519 half on a token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle import keys
from airgap_bundle.errors import FormatError
from airgap_bundle.signing.backend import generate_on_token
from airgap_bundle.signing.token_uri import TokenUri
from appliance.cli.signers import NewPassphrase, PinFdOption
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit
from appliance.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that receives the files.")]


def register(app: typer.Typer) -> None:
    """Add the command to the group ``trust``."""
    app.command()(keygen)


def keygen(  # noqa: PLR0913 - a token needs three things that a file does not
    name: Annotated[str, typer.Argument(help="Name of the person, as it will be shown beside signatures.")],
    out: OutOption,
    *,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", metavar="pkcs11:…", help="Make the Ed25519 key on this token, as in pkcs11:token=T;object=NAME."
        ),
    ] = None,
    module: Annotated[
        Path | None, typer.Option("--module", metavar="FILE", help="The token's PKCS#11 module, an absolute path.")
    ] = None,
    passphrase_fd: PassphraseFdOption = None,
    pin_fd: PinFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Make one person's keys: NAME.key (encrypted), or NAME.token and NAME.ml-dsa.key; and the public half, NAME.pub.

    With --token the Ed25519 key is made on the token and never leaves it; tokens do not sign with ML-DSA yet, so that
    half lies in an encrypted file beside the description of where the token's key is found.
    """
    if (token is None) != (module is None):
        raise UsageError("--token and --module belong together", "the module is the token's driver, an absolute path")
    person = NewPassphrase(passphrase_fd, pin_fd)
    try:
        private, public = _make(name, out, token, module, person)
    except FormatError as error:
        raise UsageError(error.cause, error.hint) from error
    made = {
        "name": name,
        "key": str(private[0]),
        "files": [str(path) for path in private],
        "public": str(public),
        "public_fingerprint": str(keys.load_public(public).fingerprint),
    }

    def render(console: Console) -> None:
        for path in private:
            console.print(f"{path} (keep it)", markup=False)
        console.print(f"{public} (give it away)", markup=False)
        console.print(f"{public.name} {made['public_fingerprint']} (read it out)", markup=False, soft_wrap=True)

    emit(made, output, render)


def _make(
    name: str, out: Path, token: str | None, module: Path | None, person: NewPassphrase
) -> tuple[tuple[Path, ...], Path]:
    """The private files and the public one."""
    out.mkdir(parents=True, exist_ok=True)
    if token is not None and module is not None:
        made = generate_on_token(name, module, TokenUri.parse(token), out, person)
        return (made.description, made.ml_dsa), made.public
    signer = keys.generate(name)
    key_file, public_file = keys.save(signer, out, person.passphrase(f"new passphrase of {name}"))
    return (key_file,), public_file
