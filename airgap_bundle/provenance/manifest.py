"""The signed list of a model's files: the in-toto statement of OMS 1.0 (OpenSSF Model Signing), written and read.

``https://model_signing/signature/v1.0`` lists files, or byte ranges of files, each with a digest; the subject's digest
is the SHA-256 over all of them in order. On top of OMS, a reader here requires: SHA-256 only; names by FORMAT.md,
section 3, distinct on every file system; one of the two canonical orders; ranges of a file without gap or overlap; no
symbolic links; the subject's digest computed again. ``ignore_paths`` may be there and grants nothing: a file that is
not listed is not signed.

OMS binds no version and no role. What is written here says them in ``annotations`` of the subject, which in-toto
defines and other verifiers ignore.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError, UnsafeNameError
from airgap_bundle.names import check_distinct, check_name, check_path

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
MAX_BYTES = 16 << 20
MAX_PIECES = 100_000
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_RANGE = re.compile(r"(.+):(0|[1-9][0-9]{0,18}):([1-9][0-9]{0,18})", re.DOTALL)
_ANNOTATIONS = {"version": "sovereign.model.version", "role": "sovereign.model.role"}


@dataclass(frozen=True)
class Piece:
    """A file, or its bytes from ``start`` up to ``end``, with their SHA-256 in hex."""

    path: str
    sha256: str
    start: int = 0
    end: int | None = None

    @property
    def name(self) -> str:
        """The piece as OMS names it."""
        return self.path if self.end is None else f"{self.path}:{self.start}:{self.end}"


@dataclass(frozen=True)
class Identity:
    """What a signature says the files are. A foreign signature says the name only."""

    name: str
    version: str | None = None
    role: str | None = None


@dataclass(frozen=True)
class Manifest:
    """All files of a model, in order. With ``shard_size``, in pieces of that many bytes."""

    identity: Identity
    pieces: tuple[Piece, ...]
    shard_size: int | None = None

    @property
    def root(self) -> str:
        """The subject's digest in hex: SHA-256 over the raw digests in order (OMS 1.0, section 6.5)."""
        return hashlib.sha256(b"".join(bytes.fromhex(piece.sha256) for piece in self.pieces)).hexdigest()

    def by_path(self) -> dict[str, tuple[Piece, ...]]:
        """The pieces of every file, ascending."""
        found: dict[str, list[Piece]] = {}
        for piece in sorted(self.pieces, key=lambda p: (p.path, p.start)):
            found.setdefault(piece.path, []).append(piece)
        return {path: tuple(pieces) for path, pieces in found.items()}


def of_files(identity: Identity, files: dict[str, str]) -> Manifest:
    """The manifest of whole files, path → SHA-256 in hex. Raises ``FormatError`` and ``UnsafeNameError``."""
    manifest = Manifest(identity, tuple(Piece(path, sha256) for path, sha256 in sorted(files.items())))
    _check(manifest)
    return manifest


def to_statement(manifest: Manifest) -> bytes:
    """The statement that is signed. ``manifest`` is of whole files: pieces are only read here."""
    assert manifest.shard_size is None
    identity = manifest.identity
    said = {key: getattr(identity, field) for field, key in _ANNOTATIONS.items()}
    return strict_json.dumps(
        {
            "_type": STATEMENT_TYPE,
            "predicateType": PREDICATE_TYPE,
            "subject": [
                {
                    "name": identity.name,
                    "digest": {"sha256": manifest.root},
                    "annotations": {key: value for key, value in said.items() if value is not None},
                }
            ],
            "predicate": {
                "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
                "resources": [
                    {"name": piece.name, "algorithm": "sha256", "digest": piece.sha256} for piece in manifest.pieces
                ],
            },
        }
    )


def parse_statement(data: bytes) -> Manifest:
    """The manifest in ``data``, whose signature was verified. Raises ``FormatError`` and ``UnsafeNameError``."""
    value = strict_json.load_object(data, max_bytes=MAX_BYTES)
    if set(value) != {"_type", "subject", "predicateType", "predicate"} or value["_type"] != STATEMENT_TYPE:
        raise FormatError("no in-toto statement of version 1")
    if value["predicateType"] != PREDICATE_TYPE:
        raise FormatError(f"the statement's predicate is {str(value['predicateType'])[:80]!r}, not a model signature")
    predicate = _object(value, "predicate")
    shard_size = _serialization(_object(predicate, "serialization"))
    resources = predicate.get("resources")
    if not isinstance(resources, list) or not 1 <= len(resources) <= MAX_PIECES:
        raise FormatError(f"a model signature lists from 1 to {MAX_PIECES} resources")
    subject = value["subject"]
    if not isinstance(subject, list) or len(subject) != 1 or not isinstance(subject[0], dict):
        raise FormatError("a model signature has exactly one subject")
    manifest = Manifest(_identity(subject[0]), tuple(_piece(item, shard_size) for item in resources), shard_size)
    _check(manifest)
    if _object(subject[0], "digest") != {"sha256": manifest.root}:
        raise FormatError("the subject's digest is not that of the resources in their order")
    return manifest


def _serialization(value: dict[str, Any]) -> int | None:
    """The size of shards, or ``None`` where whole files were hashed."""
    if value.get("hash_type") != "sha256":
        raise FormatError(f"digests are {str(value.get('hash_type'))[:20]!r}; sha256 is accepted")
    if value.get("allow_symlinks") is not False:
        raise FormatError("the signer followed symbolic links")
    method, size = value.get("method"), value.get("shard_size")
    if method == "files" and size is None:
        return None
    # The reference implementation writes numbers through a type that knows floats only.
    if method == "shards" and isinstance(size, int | float) and not isinstance(size, bool) and _is_size(size):
        return int(size)
    raise FormatError(f"serialization method {str(method)[:20]!r} is not read here")


def _is_size(number: float) -> bool:
    return number % 1 == 0 and 1 <= number <= strict_json.MAX_INTEGER


def _identity(subject: dict[str, Any]) -> Identity:
    name, notes = subject.get("name"), subject.get("annotations", {})
    if not isinstance(name, str) or not isinstance(notes, dict):
        raise FormatError("the subject has no name")
    said = {field: notes.get(key) for field, key in _ANNOTATIONS.items()}
    if any(not isinstance(text, str | None) for text in said.values()):
        raise FormatError("the subject's annotations are no texts")
    return Identity(check_name(name), **said)


def _piece(item: object, shard_size: int | None) -> Piece:
    if not isinstance(item, dict):
        raise FormatError("a resource is no object")
    name, digest = item.get("name"), item.get("digest")
    if not isinstance(name, str) or not isinstance(digest, str) or not _HEX.fullmatch(digest):
        raise FormatError("a resource is not a name with a sha256")
    accepted = {"sha256"} if shard_size is None else {"sha256", f"sha256-sharded-{shard_size}"}
    if item.get("algorithm") not in accepted:
        raise FormatError(f"resource {name[:80]!r} is hashed with {str(item.get('algorithm'))[:20]!r}")
    if shard_size is None:
        return Piece(name, digest)
    parts = _RANGE.fullmatch(name)
    if parts is None:
        raise FormatError(f"resource {name[:80]!r} names no range of bytes")
    return Piece(parts[1], digest, int(parts[2]), int(parts[3]))


def _check(manifest: Manifest) -> None:
    pieces = manifest.pieces
    files = manifest.by_path()
    for path in files:
        check_path(path)
    check_distinct(files)
    if len({piece.name for piece in pieces}) != len(pieces):
        raise FormatError("a resource is listed twice")
    for inner in files:
        if any(str(parent) in files for parent in PurePosixPath(inner).parents):
            raise UnsafeNameError(f"unsafe path {inner!r}: a file lies where it needs a folder")
    # The specification sorts by text, the reference implementation by folders and numbers; both bind the order.
    orders = (lambda p: p.name, lambda p: (PurePosixPath(p.path), p.start))
    if not any(list(pieces) == sorted(pieces, key=order) for order in orders):
        raise FormatError("the resources are not in order")
    if manifest.shard_size is not None:
        for path, parts in files.items():
            _check_ranges(path, parts, manifest.shard_size)


def _check_ranges(path: str, parts: tuple[Piece, ...], size: int) -> None:
    at = 0
    for index, piece in enumerate(parts):
        assert piece.end is not None
        last = index == len(parts) - 1
        if piece.start != at or not at < piece.end <= at + size or (not last and piece.end != at + size):
            raise FormatError(f"the ranges of {path!r} leave a gap, overlap or are of unequal size")
        at = piece.end


def _object(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    if not isinstance(found, dict):
        raise FormatError(f"{key} is no object")
    return found
