"""The return bundle: what goes back across the gap, in one file that says all that is in it and who sent it.

    return.json     DSSE statement (FORMAT.md, section 11) by the site's key: every file's name, type, size and digest
    files/<name>    the files, ascending by name, exactly those

The spelling is that of a packed bundle, so that the statement is read and verified before the first byte of content.
A reader never runs, opens or unpacks what it finds: it writes regular files, when asked to, by names that it checked.
"""

from __future__ import annotations

import io
import os
import shutil
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from airgap_bundle import durable, strict_json
from airgap_bundle.blobs import copy_blob
from airgap_bundle.digest import Digest, sha256_stream
from airgap_bundle.errors import FormatError, MalformedError, StoreError
from airgap_bundle.keys import check_signer_name
from airgap_bundle.media.disk import check_room
from airgap_bundle.media.head import Content, PackedStream
from airgap_bundle.media.inventory import INVENTORY_TYPE
from airgap_bundle.media.packed_header import END, member_header
from airgap_bundle.metadata import format_time, parse_time
from airgap_bundle.names import check_distinct, check_name
from airgap_bundle.statement import MAX_STATEMENT_BYTES, read_unverified, sign_statement, verify_statement
from airgap_bundle.tar_header import padding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner, Signer

    SinkFor = Callable[["ReturnFile"], BinaryIO | None]

RETURN_TYPE = "application/vnd.sovereign.return.v1+json"
STATEMENT, FOLDER = "return.json", "files"
MAX_FILES = 1000
MAX_BYTES = 2**53
KINDS: Mapping[str, str] = {
    "inventory": INVENTORY_TYPE,
    "checkpoint": "application/vnd.sovereign.checkpoint.v1",
    "statement": "application/vnd.sovereign.statement.v1+json",
    "support": "application/vnd.sovereign.support.v1",
    "export": "application/vnd.sovereign.export.v1",
    "learning": "application/vnd.sovereign.learning.v1",
}


@dataclass(frozen=True)
class ReturnFile:
    """One file as the statement lists it; ``size`` in bytes."""

    name: str
    type: str
    size: int
    sha256: Digest


@dataclass(frozen=True)
class Manifest:
    """What a return bundle holds, from which site, made when."""

    site: str
    made: datetime
    files: tuple[ReturnFile, ...]

    def to_json(self) -> dict[str, Any]:
        """The statement's payload."""
        files = [{**asdict(file), "sha256": file.sha256.hex} for file in self.files]
        return {"schema": 1, "site": self.site, "made": format_time(self.made), "files": files}


def describe(site: str, made: datetime, files: Mapping[str, tuple[str, BinaryIO]]) -> Manifest:
    """The manifest of ``files``: kind (a key of ``KINDS``) and content by name, each read to its end.

    This is what a person is shown before anything is written. Raises ``FormatError``, ``UnsafeNameError``, and
    ``StoreError`` for a file that cannot be read.
    """
    found = []
    for name, (kind, stream) in sorted(files.items(), key=lambda item: item[0].encode()):
        if kind not in KINDS:
            raise FormatError(f"{kind!r:.40} is no kind of file that goes back", f"kinds: {', '.join(KINDS)}")
        digest, size = _measure(name, stream)
        found.append(ReturnFile(check_name(name), KINDS[kind], size, digest))
    return _checked(Manifest(site, made, tuple(found)))


def _measure(name: str, stream: BinaryIO) -> tuple[Digest, int]:
    try:
        stream.seek(0)
        return sha256_stream(stream)
    except OSError as error:
        raise StoreError(f"{name} cannot be read: {error.strerror}") from error


def write_return(sink: BinaryIO, manifest: Manifest, contents: Mapping[str, BinaryIO], signer: Signer) -> None:
    """Write the bundle of ``manifest``. Raises ``DigestMismatchError`` when a content is not what was described."""
    statement = sign_statement(manifest.to_json(), RETURN_TYPE, signer)
    sink.write(member_header(STATEMENT, len(statement)) + statement + padding(len(statement)))
    for file in manifest.files:
        sink.write(member_header(f"{FOLDER}/{file.name}", file.size))
        contents[file.name].seek(0)
        copy_blob(file.sha256, file.size, contents[file.name], sink, lambda _count: None)
        sink.write(padding(file.size))
    sink.write(END)


def read_claims(source: BinaryIO) -> Manifest:
    """What the bundle says it holds: nothing is verified, only the statement read. Raises ``MalformedError``."""
    try:
        return _parse(read_unverified(_statement(PackedStream(source))))
    except FormatError as error:
        raise MalformedError(f"return bundle: {error.cause}", error.hint) from error


def verify_return(source: BinaryIO, site_keys: Sequence[PublicSigner], sink_for: SinkFor | None = None) -> Manifest:
    """Verify the bundle that ``source`` gives, in one pass, by one of ``site_keys``.

    ``sink_for`` says where a file's content goes, None for nowhere; nothing that it received may be used before this
    returns. Raises a ``VerificationError``, or ``StoreError`` when the medium fails.
    """
    try:
        stream = PackedStream(source)
        payload, signer = verify_statement(_statement(stream), RETURN_TYPE, site_keys)
        manifest = _parse(payload)
        _check_sender(manifest, signer)
        for file in manifest.files:
            _read_file(stream, file, sink_for(file) if sink_for else None)
        _check_end(stream)
    except FormatError as error:
        raise MalformedError(f"return bundle: {error.cause}", error.hint) from error
    return manifest


def read_only_file(source: BinaryIO, site_keys: Sequence[PublicSigner], type_: str, max_bytes: int) -> bytes:
    """The content of the one file of type ``type_`` in a bundle that ``verify_return`` accepts. Raises as that does."""
    found: list[io.BytesIO] = []

    def keep(file: ReturnFile) -> BinaryIO | None:
        if file.type != type_:
            return None
        if found or file.size > max_bytes:
            raise FormatError(f"{file.name} is a second file of its type, or exceeds {max_bytes} bytes")
        found.append(io.BytesIO())
        return found[-1]

    verify_return(source, site_keys, keep)
    if len(found) != 1:
        raise MalformedError(f"return bundle: it holds {len(found)} files of type {type_}, not one")
    return found[0].getvalue()


def extract_return(source: BinaryIO, site_keys: Sequence[PublicSigner], out: Path) -> Manifest:
    """Verify, and write the files into the folder ``out``, which must not exist: all of them or nothing.

    Raises as ``verify_return``, and ``StoreError``.
    """
    partial = out.with_name(out.name + durable.PARTIAL)
    if out.exists() or out.is_symlink():
        raise StoreError(f"{out} exists", "name a new folder")
    sinks: list[BinaryIO] = []
    with ExitStack() as opened:

        def create(file: ReturnFile) -> BinaryIO:
            check_room(partial, file.size)
            sinks.append(opened.enter_context((partial / file.name).open("xb")))
            return sinks[-1]

        try:
            partial.mkdir(mode=0o700)
            opened.callback(shutil.rmtree, partial, ignore_errors=True)
            manifest = verify_return(source, site_keys, create)
            for sink in sinks:
                sink.flush()
                os.fsync(sink.fileno())
            partial.rename(out)
            durable.sync_directory(out.parent)
        except OSError as error:
            raise StoreError(f"{out} cannot be written: {error.strerror}", "check free space and rights") from error
    return manifest


def _check_sender(manifest: Manifest, signer: str) -> None:
    if manifest.site != signer:
        raise FormatError(f"it says it is from {manifest.site}, and {signer} signed it")


def _check_end(stream: PackedStream) -> None:
    if stream.next is not None or stream.up_to(1):
        raise FormatError("there is more in it than its statement lists")


def _read_file(stream: PackedStream, file: ReturnFile, sink: BinaryIO | None) -> None:
    member = stream.member()
    if (member.path, member.size) != (f"{FOLDER}/{file.name}", file.size):
        raise FormatError(f"{member.path} lies where {FOLDER}/{file.name} of {file.size} bytes belongs")
    copy_blob(file.sha256, file.size, cast("BinaryIO", Content(stream, file.size)), sink, lambda _count: None)
    stream.end_member(member)


def _statement(stream: PackedStream) -> bytes:
    if stream.member().path != STATEMENT:
        raise FormatError(f"{STATEMENT} does not come first")
    return stream.take(MAX_STATEMENT_BYTES)


def _parse(payload: dict[str, Any]) -> Manifest:
    entries = payload.get("files")
    if not strict_json.is_integer(payload.get("schema"), 1) or not isinstance(entries, list):
        raise FormatError("schema 1 with files expected")
    files = tuple(_parse_file(entry) for entry in entries)
    return _checked(Manifest(check_signer_name(payload.get("site")), parse_time(payload.get("made")), files))


def _parse_file(entry: object) -> ReturnFile:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise FormatError("a file has no name")
    size, type_ = entry.get("size"), str(entry.get("type"))
    if type(size) is not int or not 0 <= size <= MAX_BYTES or type_ not in KINDS.values():
        raise FormatError(f"{entry['name']!r:.80}: size or type is not one of this format")
    return ReturnFile(entry["name"], type_, size, Digest.from_hex(str(entry.get("sha256"))))


def _checked(manifest: Manifest) -> Manifest:
    names = [check_name(file.name) for file in manifest.files]
    check_distinct(names)
    if not 1 <= len(names) <= MAX_FILES or names != sorted(names, key=str.encode):
        raise FormatError(f"from 1 to {MAX_FILES} files, ascending by name, expected")
    return manifest
