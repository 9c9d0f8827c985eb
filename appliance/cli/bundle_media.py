"""`sovereign bundle pack | unpack | split | join`: a bundle on its way, as one file or as parts for several media."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from airgap_bundle.errors import StoreError
from airgap_bundle.media.join import collect, finish
from airgap_bundle.media.pack import open_whole, write_packed
from airgap_bundle.media.pack import pack as pack_bundle
from airgap_bundle.media.split import plan_for
from airgap_bundle.media.split import split as split_bundle
from airgap_bundle.media.unpack import unpack as unpack_bundle
from appliance.cli.bundle import BundleArgument, FingerprintOption, trust_for
from appliance.cli.signers import PinFdOption, opened
from appliance.cli.sizes import parse_size, size_text
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    progress,
    say,
)
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from airgap_bundle.media.join import Joining

STREAM = Path("-")


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``bundle``."""
    for command in (pack, unpack, split, join):
        app.command(command.__name__)(command)


def pack(
    bundle: BundleArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="New file; - writes to stdout.")],
    output: OutputOption = OutputFormat.table,
) -> None:
    """Put a sealed bundle into one file, signatures first; equal bundles give equal bytes. Any tar can read it."""
    if out == STREAM:
        if sys.stdout.isatty():
            raise UsageError("a bundle is not written to a terminal", "redirect stdout, or name a file")
        with open_whole(bundle) as whole, progress("packing") as advance:
            write_packed(whole, sys.stdout.buffer, advance)
        return
    with progress("packing") as advance:
        done = pack_bundle(bundle, out, progress=advance)

    def render(console: Console) -> None:
        console.print(f"{out}: {done.release} {done.version}, {done.files} files, {size_text(done.size)}", markup=False)
        if done.lacking:
            console.print(f"a delta: {done.lacking} blobs are left out", markup=False)

    emit({"file": str(out), **asdict(done)}, output, render)


def unpack(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A packed bundle; - reads stdin.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New folder that receives the bundle.")],
    root_fingerprint: FingerprintOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Verify a packed bundle in one pass and write it as a folder; what is refused writes nothing.

    Signatures come first in the file, so that nothing is written for a bundle that the site does not trust. After an
    interruption the same command goes on where it stopped.
    """
    trust = trust_for(context, root_fingerprint)
    with _opened(file) as stream, progress("unpacking") as advance:
        done = unpack_bundle(stream, out, trust, now=datetime.now(UTC), progress=advance)
    freshness = done.report.freshness
    if freshness is not None and freshness.status != "pass":
        say(f"note: freshness: {freshness.detail}")

    def render(console: Console) -> None:
        info = done.report.release
        assert info is not None
        console.print(f"{out}: {info.name} {info.version}, {done.blobs} blobs, each as signed", markup=False)
        console.print(f"signed by {', '.join(done.report.signers)}", markup=False)
        if done.lacking:
            console.print(f"a delta: {done.lacking} blobs are left out; a site's store must hold them", markup=False)

    data = {"folder": str(out), "blobs": done.blobs, "lacking": done.lacking, "report": done.report.to_json()}
    emit(data, output, render)


def split(  # noqa: PLR0913, PLR0917 - typer: one parameter per option
    bundle: BundleArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New or empty folder that receives the parts.")],
    key: Annotated[Path, typer.Option("--key", metavar="release.key", help="The key that sealed the bundle.")],
    part_size: Annotated[
        str | None,
        typer.Option("--part-size", metavar="SIZE", help="Size of a part, below 4GiB; default: 4GB, or to fill media."),
    ] = None,
    media_size: Annotated[
        str | None,
        typer.Option("--media-size", metavar="SIZE", help="Size of each medium: parts go into one folder for each."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the parts: up to eight of A-Z and 0-9.")] = "RELEASE",
    passphrase_fd: PassphraseFdOption = None,
    pin_fd: PinFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Spread a sealed bundle over parts that fit FAT32 and media of a given size, with a signed list of what they hold.

    NAME.001, NAME.002 … are the packed bundle, cut; NAME.LST goes onto every medium. Signing the list needs the release
    key; it vouches for the copies, not for the content, which is verified as ever.
    """
    part, medium = (None if given is None else parse_size(given) for given in (part_size, media_size))
    plan = plan_for(part, medium, name)
    with opened(key, passphrase_fd, pin_fd) as signer, progress("splitting") as advance:
        done = split_bundle(bundle, out, signer, plan, progress=advance)

    def render(console: Console) -> None:
        console.print(f"{done.release} {done.version}: {size_text(done.size)}", markup=False)
        for folder, names in done.media.items():
            console.print(f"  {folder}: {', '.join(names)}", markup=False)

    emit(asdict(done), output, render)


def join(
    context: typer.Context,
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER…", help="Folders or mount points with parts.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="New file that receives the packed bundle.")],
    root_fingerprint: FingerprintOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Collect the parts of a split bundle from any media, in any order, and verify the whole.

    Run it once for each medium, or name several folders. Good parts are read once and remembered; a damaged one is
    named with the place where it differs. When the last part is there, everything is verified and FILE appears.
    """
    trust = trust_for(context, root_fingerprint)
    with progress("joining") as advance:
        done = collect(folders, out, trust, progress=advance)
    if done.complete:
        with progress("verifying") as advance:
            done = finish(done, trust, now=datetime.now(UTC), progress=advance)
    emit(_joining_json(done, out), output, lambda console: _render_joining(done, out, console))
    for fault in done.faults[1:]:
        say(f"also: part {fault.number}: {fault.name} {fault.cause}")
    done.raise_for_fault()


def _joining_json(done: Joining, out: Path) -> dict[str, object]:
    return {
        "file": str(out) if done.done else None,
        "release": done.parts.release,
        "version": done.parts.version,
        "parts": len(done.parts.parts),
        "have": list(done.have),
        "missing": list(done.missing),
        "faults": [asdict(fault) for fault in done.faults],
    }


def _render_joining(done: Joining, out: Path, console: Console) -> None:
    what = f"{done.parts.release} {done.parts.version}"
    if done.done:
        console.print(f"{out}: {what}, {len(done.have)} parts, every byte as signed", markup=False)
        return
    console.print(f"{what}: {len(done.have)} of {len(done.parts.parts)} parts are here and good", markup=False)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if file == STREAM:
        yield sys.stdin.buffer
        return
    try:
        stream = file.open("rb", buffering=0)
    except OSError as error:
        raise StoreError(f"{file} cannot be opened: {error.strerror}", "name a packed bundle") from error
    with stream:
        yield stream
