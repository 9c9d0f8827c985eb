"""What is fuzzed, and what must hold: hostile bytes give a value or the reader's own error, never anything else.

Where a reader accepts, the harness asks for more than "it did not crash": a tar that was extracted is written again
and must be the same bytes, JSON must be what the standard parser reads, a header's facts must fit the file.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airgap_bundle import metadata, oci, strict_json
from airgap_bundle.archive import Entry, Limits, extract, write_tar
from airgap_bundle.build.jar import jar_coordinate
from airgap_bundle.build.strict_zip import open_zip
from airgap_bundle.build.wheel_metadata import glibc_needed, wheel_licence
from airgap_bundle.descriptor import MANIFEST_TYPE, Descriptor
from airgap_bundle.digest import sha256
from airgap_bundle.errors import BuildError, BundleError, FormatError, UnsafeNameError
from airgap_bundle.keys import parse_public
from airgap_bundle.root_policy import check_root
from airgap_bundle.signing.request import parse_request
from airgap_bundle.signing.response import parse_response
from airgap_bundle.statement import WAIVER_TYPE, verify_statement
from airgap_bundle.store_record import Record
from appliance.models.errors import GgufError
from appliance.models.gguf_tensors import read_header
from tests.fuzz import seeds

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CAUSE = 10_000  # every character spelled out
_SMALL = Limits(members=64, total_bytes=1 << 20)
_ZIP_TOTAL = 1 << 22
# Extraction and zip reading need real files; a file system in memory keeps a fuzzer from wearing out a disk.
_SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None


@dataclass(frozen=True)
class Target:
    """``check`` raises for a defect and for nothing else; ``seeds`` are inputs to begin with."""

    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    max_bytes: int = 4096


def check_json(data: bytes) -> None:
    """Strict JSON: what is accepted is what the standard parser reads, and its canonical form reads back."""
    try:
        value = strict_json.loads(data, max_bytes=1 << 16)
    except FormatError as error:
        _check_cause(error)
        return
    assert json.loads(data) == value
    with contextlib.suppress(FormatError):  # floats have no canonical form
        assert strict_json.loads(strict_json.dumps(value)) == value


def _root(data: bytes) -> None:
    check_root(metadata.parse_root(data).signed)


def _manifest(data: bytes) -> None:
    oci.parse_manifest(Descriptor(MANIFEST_TYPE, sha256(data), len(data), {}, None), data)


_METADATA: tuple[Callable[[bytes], Any], ...] = (
    _root,
    metadata.parse_targets,
    metadata.parse_snapshot,
    metadata.parse_timestamp,
    metadata.parse_models,
    oci.parse_index,
    oci.parse_release,
    _manifest,
    parse_public,
    lambda data: verify_statement(data, WAIVER_TYPE, []),
    parse_request,
    parse_response,
    Record.parse,
)


def check_metadata(data: bytes) -> None:
    """Every reader of a signed document answers with a ``BundleError`` in one printable line, or a value."""
    for parse in _METADATA:
        try:
            parse(data)
        except BundleError as error:
            _check_cause(error)


def _check_cause(error: BundleError | GgufError) -> None:
    assert error.cause.isprintable(), ascii(error.cause)
    assert len(error.cause) <= MAX_CAUSE


def check_tar(data: bytes) -> None:
    """An archive that is accepted has one spelling: written again it is the same bytes."""
    with tempfile.TemporaryDirectory(dir=_SCRATCH) as folder:
        out = Path(folder, "out")
        try:
            members = extract(io.BytesIO(data), out, _SMALL)
        except (FormatError, UnsafeNameError):
            assert {path.name for path in Path(folder).iterdir()} <= {"out"}
            return
        entries = [_entry(path, out) for path in out.rglob("*")]
        again = io.BytesIO()
        write_tar(again, entries)
        assert members <= len(entries)
        if members == len(entries):  # else there are folders that members only imply, and are no members themselves
            assert again.getvalue() == data


def _entry(path: Path, base: Path) -> Entry:
    executable = path.is_file() and bool(path.stat().st_mode & 0o100)
    return Entry(path.relative_to(base).as_posix(), None if path.is_dir() else path, executable)


def check_zip(data: bytes) -> None:
    """A fetched archive and everything that is read out of one: ``BuildError`` or a value, in bounded memory."""
    with tempfile.NamedTemporaryFile(dir=_SCRATCH, suffix=".zip") as file:
        file.write(data)
        file.flush()
        path = Path(file.name)
        jar_coordinate(path, "lib/core-1.0.jar")
        with contextlib.suppress(BuildError), open_zip(path, "input") as archive:
            for member in archive.members.values():
                if not member.directory and member.size <= _ZIP_TOTAL:
                    with contextlib.suppress(BuildError):
                        archive.copy(member, io.BytesIO())
            if sum(member.size for member in archive.members.values()) <= _ZIP_TOTAL:
                wheel_licence(archive)
                glibc_needed(archive)


def check_gguf(data: bytes) -> None:
    """A model's header: a ``GgufError`` or facts that fit the file."""
    fd = os.memfd_create("gguf")
    try:
        os.write(fd, data)
        header = read_header(fd, len(data))
    except GgufError as error:
        _check_cause(error)
        return
    finally:
        os.close(fd)
    assert header.tensors * 33 <= len(data)
    assert header.alignment & (header.alignment - 1) == 0


TARGETS = {
    "gguf": Target(check_gguf, seeds.gguf),
    "json": Target(check_json, seeds.json),
    "metadata": Target(check_metadata, seeds.metadata, max_bytes=1 << 17),
    "tar": Target(check_tar, seeds.tar, max_bytes=1 << 14),
    "zip": Target(check_zip, seeds.zip),
}
