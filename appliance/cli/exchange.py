"""Signatures over a distance: `request`, `respond` and `collect`, for bundles and for roots.

A request goes to the signer, a response comes back; both are small files. The signer's machine shows what is signed,
from the bytes themselves, and says what it has not seen.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle import durable
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import ForeignRootError, FormatError, SigningError
from airgap_bundle.metadata import MODELS, TARGETS
from airgap_bundle.sign import collect_bundle, prepare_request
from airgap_bundle.sign_models import collect_into_models, prepare_models_request
from airgap_bundle.signing.models_draft import ModelsDraft
from airgap_bundle.signing.request import MAX_REQUEST_BYTES, dump_request, parse_request
from airgap_bundle.signing.response import MAX_RESPONSE_BYTES, collect_root
from airgap_bundle.signing.response import respond as respond_to
from airgap_bundle.signing.root_draft import RootDraft
from airgap_bundle.signing.roots_folder import open_draft, write_draft
from airgap_bundle.signing.summary import describe_models, describe_release, describe_root
from airgap_bundle.trust_state import fingerprint
from appliance.cli.root_files import RootOption, read_roots
from appliance.cli.root_view import render_root, root_summary
from appliance.cli.signers import PinFdOption, YesOption, consent, opened
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, progress
from appliance.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from airgap_bundle.signing.request import Draft

OutOption = Annotated[Path, typer.Option("--out", metavar="FILE", help="New file that receives it.")]
ModelsOption = Annotated[bool, typer.Option("--models", help="It is a bundle of models, for sites that run already.")]
ResponsesArgument = Annotated[list[Path], typer.Argument(metavar="FILE", help="Responses.")]


def register_bundles(app: typer.Typer) -> None:
    """Add the commands to the group ``bundle``."""
    app.command("request")(request_bundle)
    app.command("respond")(respond)
    app.command("collect")(collect_into_bundle)


def register_roots(app: typer.Typer) -> None:
    """Add the commands to the group ``trust``."""
    app.command("request")(request_root)
    app.command("respond")(respond)
    app.command("collect")(collect_into_root)


def request_bundle(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle's folder.")],
    out: OutOption,
    *,
    root: RootOption = None,
    models: ModelsOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Write what a bundle's next signer must see into one small file, for a machine that the bundle is not carried to.

    Reads every blob first, and fixes the bytes that persons sign, so that several requests ask for the same. The same
    file serves persons and, once enough of them signed, a new one serves the release key. With --models it asks those
    whom the root lets bring models.
    """
    _refuse_existing(out)
    now, roots = datetime.now(UTC), read_roots(root)
    with progress("reading") as report_progress:
        if models:
            asked, data = prepare_models_request(bundle, roots, now=now, progress=report_progress)
            standing = str(asked.counted(now))
        else:
            draft, data = prepare_request(bundle, roots, now=now, progress=report_progress)
            standing = str(draft.counted())
    _write_request(data, out, standing, output)


def request_root(
    draft: Annotated[Path, typer.Argument(metavar="N.root.json", help="The draft, beside the roots before it.")],
    out: OutOption,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Write a draft of a root and the roots before it into one small file, for a signer's machine elsewhere."""
    found = open_draft(draft)
    standing = found.check(datetime.now(UTC))
    if standing.complete:
        raise found.completed()
    _write_request(dump_request(found), out, str(standing), output)


def respond(  # noqa: PLR0913 - a key needs two descriptors where nobody types
    request: Annotated[Path, typer.Argument(metavar="FILE", help="The request.")],
    key: Annotated[Path, typer.Option("--key", metavar="NAME.key", help="Your key file, or key description.")],
    out: OutOption,
    *,
    root_fingerprint: Annotated[
        str | None,
        typer.Option(
            "--root-fingerprint",
            metavar="sha256:…",
            help="The newest root you know; another is refused. Needed where there is no terminal.",
        ),
    ] = None,
    yes: YesOption = False,
    passphrase_fd: PassphraseFdOption = None,
    pin_fd: PinFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Sign what a request asks for, having read it in words, and write the signatures into a response.

    What is shown comes from the bytes that are signed. For a bundle it cannot show the files themselves, which are
    not in the request: it says so.
    """
    now = datetime.now(UTC)
    draft = parse_request(_read(request, MAX_REQUEST_BYTES))
    _check_root(draft, root_fingerprint)
    consent(_described(draft, now), "sign this?", yes=yes)
    with opened(key, passphrase_fd, pin_fd) as signer:
        data = respond_to(draft, signer, now)
    _write_new(out, data)
    result = {"signer": signer.name, "response": str(out), "sha256": sha256(data).hex}
    emit(result, output, lambda console: console.print(f"{out}: signed by {signer.name}; carry it back", markup=False))


def collect_into_bundle(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle's folder.")],
    responses: ResponsesArgument,
    *,
    models: ModelsOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Check responses and add their signatures to a bundle; all of them, or on any refusal none.

    Collecting a response again changes nothing.
    """
    data = [_read(path, MAX_RESPONSE_BYTES) for path in responses]
    collect, role = (collect_into_models, MODELS) if models else (collect_bundle, TARGETS)
    with progress("reading") as report_progress:
        done = collect(bundle, data, now=datetime.now(UTC), progress=report_progress)
    missing, ready = ("more signatures are needed", "ready") if models else ("not sealed yet", "sealed: ready")

    def render(console: Console) -> None:
        console.print(done.release, markup=False)
        console.print(f"{role}: {done.targets}", markup=False)
        console.print(f"{ready} to travel" if done.sealed else missing, markup=False)

    emit({"release": done.release, role: done.targets, "sealed": done.sealed}, output, render)


def collect_into_root(
    draft: Annotated[Path, typer.Argument(metavar="N.root.json", help="The draft, beside the roots before it.")],
    responses: ResponsesArgument,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Check responses and add their signatures to a root; all of them, or on any refusal none."""
    data = [_read(path, MAX_RESPONSE_BYTES) for path in responses]
    found = open_draft(draft)
    collected = collect_root(found, data, datetime.now(UTC))
    if collected.data != found.data:
        write_draft(draft.parent, collected)
    summary = root_summary(collected.data, collected.history)
    emit(summary, output, lambda console: render_root(console, summary))


def _write_request(data: bytes, out: Path, standing: str, output: OutputFormat) -> None:
    _write_new(out, data)
    result = {"request": str(out), "bytes": len(data), "sha256": sha256(data).hex, "signed_by": standing}

    def render(console: Console) -> None:
        console.print(f"{out}: {len(data):,} bytes, for whoever signs next: {standing}", markup=False, soft_wrap=True)

    emit(result, output, render)


def _described(draft: Draft, now: datetime) -> tuple[str, ...]:
    if isinstance(draft, RootDraft):
        draft.check(now)
        return describe_root(draft)
    return describe_models(draft, now) if isinstance(draft, ModelsDraft) else describe_release(draft, now)


def _check_root(draft: Draft, expected: str | None) -> None:
    """The root that a signer knows is the newest complete one: a release's own, or a draft's predecessor.

    At a terminal a person reads the fingerprint in what is shown. Where nobody reads, it is named or nothing is signed.
    """
    roots = draft.history if isinstance(draft, RootDraft) else draft.roots
    if expected is None:
        if not sys.stdin.isatty():
            raise _unnamed(first=not roots)
        return
    try:
        wanted = Digest.parse(expected)
    except FormatError as error:
        raise UsageError(f"root fingerprint: {error.cause}") from error
    if not roots:
        raise SigningError("the request is for a first root: there is none that you could know")
    found = fingerprint(roots[max(roots)])
    if found != wanted:
        raise ForeignRootError(f"the request rests on another root: {found}", "ask whoever sent it; sign nothing")


def _unnamed(*, first: bool) -> UsageError:
    """The refusal where there is no terminal and no root was named."""
    if first:
        return UsageError(
            "a first root is signed at a terminal: there is none yet that could be named", "sign it there"
        )
    return UsageError(
        "nobody can be asked whether this is your root: this is no terminal",
        "name the newest root that you know with --root-fingerprint, from your own records, not from the request",
    )


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(max_bytes + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} exists already", "name a new file with --out")


def _write_new(path: Path, data: bytes) -> None:
    _refuse_existing(path)
    durable.replace(path, data)
