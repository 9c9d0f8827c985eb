"""`sovereign model keygen`, `sign` and `attest`: what a publisher does before a model travels. None needs a site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airgap_bundle import keys
from airgap_bundle.digest import Digest, sha256_stream
from airgap_bundle.errors import FormatError
from airgap_bundle.provenance import publisher_key
from airgap_bundle.provenance.folder import SIGNATURE_NAME, read_folder
from airgap_bundle.provenance.manifest import Identity
from airgap_bundle.provenance.origin import KINDS, SUFFIX, Kind, fields_of, sign_origin
from airgap_bundle.provenance.publisher_signature import sign_manifest
from airgap_bundle.provenance.publishers import parse_certificates
from appliance.cli.signers import PinFdOption, opened
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, progress, read_passphrase
from appliance.errors import UsageError
from appliance.models.record import Role  # noqa: TC001 - typer reads the annotation at run time

if TYPE_CHECKING:
    from rich.console import Console

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="The model's folder.", exists=True)]
_FIELDS = "; ".join(f"{kind}: {', '.join(fields_of(kind))}" for kind in KINDS)


def register(app: typer.Typer) -> None:
    """Add the publisher's commands to ``app``."""
    app.command()(keygen)
    app.command()(sign)
    app.command()(attest)


def keygen(
    name: Annotated[str, typer.Argument(help="Name of the publisher.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that receives the files.")],
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Make a publisher's key (ECDSA P-256): NAME.key, encrypted, and NAME.pem, which policies name."""
    phrase = read_passphrase(f"new passphrase of {name}", passphrase_fd)
    if passphrase_fd is None and read_passphrase(f"once more, {name}", None) != phrase:
        raise UsageError("the passphrases differ", "begin again")
    out.mkdir(parents=True, exist_ok=True)
    try:
        key_file, public_file = publisher_key.save_new(name, out, phrase)
    except FormatError as error:
        raise UsageError(error.cause) from error

    def render(console: Console) -> None:
        console.print(f"{key_file} (keep it)\n{public_file} (give it away)", markup=False)

    emit({"name": name, "key": str(key_file), "public": str(public_file)}, output, render)


def sign(  # noqa: PLR0913 - one option per thing that the signature says
    *,
    folder: FolderArgument,
    key: Annotated[Path, typer.Option("--key", metavar="NAME.key", help="The publisher's encrypted key file.")],
    version: Annotated[str, typer.Option("--model-version", metavar="V", help="Version that the signature binds.")],
    role: Annotated[Role, typer.Option("--role", help="Role that it binds.")],
    name: Annotated[str | None, typer.Option("--name", help="Name that it binds; default: the folder's.")] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="PEM", help="Chain of certificates, the signer's first.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help=f"Signature; default: FOLDER/{SIGNATURE_NAME}.")
    ] = None,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Sign every file of a model's folder (OpenSSF Model Signing 1.0). Nothing is left out, whatever its name."""
    target = out or folder / SIGNATURE_NAME
    if target.exists():
        raise UsageError(f"{target} exists already", "remove it first: signatures are never overwritten")
    chain = parse_certificates(read_file(certificate)) if certificate else ()
    private = publisher_key.load(key, read_passphrase(f"passphrase of {key.name}", passphrase_fd))
    identity = Identity(name or folder.resolve().name, version, role)
    with progress(f"reading {folder.name}") as report:
        manifest = read_folder(folder, identity, signature=signature_inside(folder, target), progress=report)
    data = sign_manifest(manifest, private, chain)
    keys.write_new(target, data, 0o644)
    done = {
        "signature": str(target),
        "name": identity.name,
        "version": version,
        "role": role,
        "digest": f"sha256:{manifest.root}",
        "files": {piece.path: f"sha256:{piece.sha256}" for piece in manifest.pieces},
    }

    def render(console: Console) -> None:
        console.print(f"{target}: {len(manifest.pieces)} files of {identity.name} {version} ({role})", markup=False)
        console.print(f"sha256:{manifest.root}", markup=False, soft_wrap=True)

    emit(done, output, render)


def attest(  # noqa: PLR0913 - one option per part of a statement
    *,
    kind: Annotated[Kind, typer.Argument(help=f"What is stated, with its fields. {_FIELDS}.")],
    key: Annotated[Path, typer.Option("--key", metavar="NAME.key", help="Key of whoever states it.")],
    subject: Annotated[
        list[str], typer.Option("--subject", metavar="FILE|sha256:…", help="File it is about; repeatable.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Statement; its name ends with .intoto.json.")],
    say: Annotated[
        list[str] | None, typer.Option("--say", metavar="FIELD=TEXT", help="A field of the statement; repeatable.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="FILE|sha256:…", help="File that it was made from; repeatable."),
    ] = None,
    passphrase_fd: PassphraseFdOption = None,
    pin_fd: PinFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """State something about a model's origin: who produced it, its licence, how it was converted, or a site's approval.

    The statement is an in-toto attestation, signed with both halves of your key. A site's policy says whose statements
    of which kind count.
    """
    if not out.name.endswith(SUFFIX):
        raise UsageError(
            f"{out.name} is no name of a statement", f"let it end with {SUFFIX}: the gate knows them by that"
        )
    fields: dict[str, Any] = dict(_field(item) for item in say or ())
    with progress("hashing") as report:
        if source:
            fields["inputs"] = [_digest(item, report)[0] for item in source]
        subjects = dict(_digest(item, report) for item in subject)
    with opened(key, passphrase_fd, pin_fd) as signer:
        attester = signer.name
        try:
            data = sign_origin(kind, subjects, fields, signer)
        except FormatError as error:
            raise UsageError(error.cause, f"the fields are: {_FIELDS}") from error
    keys.write_new(out, data, 0o644)
    done = {"statement": str(out), "kind": kind, "subjects": subjects, "fields": fields, "attester": attester}
    emit(
        done,
        output,
        lambda console: console.print(f"{out}: {attester} states the {kind} of {len(subjects)} files", markup=False),
    )


def signature_inside(folder: Path, signature: Path) -> str:
    """The signature's name where it lies in ``folder`` itself, else nothing: only it may stay unsigned."""
    return signature.name if signature.resolve().parent == folder.resolve() else ""


def read_file(path: Path) -> bytes:
    """All of a small file. Raises ``UsageError``."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _field(item: str) -> tuple[str, str]:
    name, equals, text = item.partition("=")
    if not equals or not name or not text:
        raise UsageError(f"{item!r:.80} is no FIELD=TEXT", f"the fields are: {_FIELDS}")
    return name, text


def _digest(item: str, report: Any) -> tuple[str, str]:
    """SHA-256 in hex, and a name, of a file or of a digest that was typed."""
    if item.startswith("sha256:"):
        try:
            return Digest.parse(item).hex, item
        except FormatError as error:
            raise UsageError(error.cause, "`sha256sum FILE` gives it") from error
    path = Path(item)
    try:
        total, done = path.stat().st_size, 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            report(done, total)

        with path.open("rb") as stream:
            return sha256_stream(stream, on_bytes=advance)[0].hex, path.name
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "name a file, or sha256:…") from error
