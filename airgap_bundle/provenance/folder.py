"""A model's folder on any medium, against a manifest: every file, every byte, and nothing besides.

Signing and verifying read the folder in one way: regular files only, no symbolic link followed in any component, names
by FORMAT.md. Nothing is left out but the signature file itself, which cannot sign itself: not `.git`, not a dot file,
not an empty folder.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from airgap_bundle.digest import CHUNK, sha256_stream
from airgap_bundle.errors import DigestMismatchError, FormatError, MissingFileError, StoreError, UnlistedFileError
from airgap_bundle.medium import Medium
from airgap_bundle.provenance.manifest import Identity, Manifest, of_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airgap_bundle.medium import Listing
    from airgap_bundle.provenance.manifest import Piece

    Progress = Callable[[int, int], None]

SIGNATURE_NAME = "model.sig"


def read_folder(folder: Path, identity: Identity, *, signature: str = SIGNATURE_NAME, progress: Progress) -> Manifest:
    """The manifest of every file below ``folder`` but ``signature``.

    Raises ``SpecialFileError``, ``UnsafeNameError``, ``FormatError`` and ``StoreError``.
    """
    with Medium(folder) as medium:
        listing = _listing(medium, signature)
        if not listing.files:
            raise FormatError(f"{folder} holds no file to sign")
        tally = _Tally(sum(listing.files.values()), progress)
        digests: dict[str, str] = {}
        for path in sorted(listing.files):
            with medium.open(path) as stream, _read_errors(path):
                digests[path] = sha256_stream(stream, on_bytes=tally.add)[0].hex
    return of_files(identity, digests)


def check_folder(folder: Path, manifest: Manifest, *, signature: str = SIGNATURE_NAME, progress: Progress) -> None:
    """Compare ``folder`` with ``manifest``, byte by byte.

    Raises ``UnlistedFileError``, ``MissingFileError``, ``DigestMismatchError``, and what ``read_folder`` raises.
    """
    signed = manifest.by_path()
    with Medium(folder) as medium:
        listing = _listing(medium, signature)
        check_listed(set(listing.files), set(signed))
        tally = _Tally(sum(listing.files.values()), progress)
        for path, pieces in signed.items():
            with medium.open(path) as stream, _read_errors(path):
                matches = _matches(stream, pieces, tally)
            if not matches:
                raise DigestMismatchError(f"{path} holds other bytes than the publisher signed", "get the model again")


def check_listed(there: set[str], signed: set[str]) -> None:
    """Raise ``UnlistedFileError`` or ``MissingFileError`` unless both name the same files."""
    if extra := sorted(there - signed):
        raise UnlistedFileError(
            f"{extra[0]!r} is not among the files that the publisher signed", "remove it, or have all of it signed"
        )
    if missing := sorted(signed - there):
        raise MissingFileError(f"{missing[0]!r} was signed and is missing", "copy the model again, whole")


def _listing(medium: Medium, signature: str) -> Listing:
    listing = medium.list()
    listing.files.pop(signature, None)
    used = {path.rsplit("/", depth)[0] for path in listing.files for depth in range(1, path.count("/") + 1)}
    if empty := sorted(listing.directories - used):
        raise UnlistedFileError(f"the folder {empty[0]!r} is empty, and nothing signs it", "remove it")
    return listing


class _Tally:
    """Adds up the bytes read so far."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def add(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self._total)


@contextmanager
def _read_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "try the medium again") from error


def _matches(stream: BinaryIO, pieces: tuple[Piece, ...], tally: _Tally) -> bool:
    if pieces[0].end is None:
        return sha256_stream(stream, on_bytes=tally.add)[0].hex == pieces[0].sha256
    return all(_hash_range(stream, piece, tally) == piece.sha256 for piece in pieces) and not stream.read(1)


def _hash_range(stream: BinaryIO, piece: Piece, tally: _Tally) -> str:
    """The digest of the next bytes of ``stream``, as many as ``piece`` has or as there are."""
    assert piece.end is not None
    hasher, left = hashlib.sha256(), piece.end - piece.start
    while left and (chunk := stream.read(min(left, CHUNK))):
        hasher.update(chunk)
        left -= len(chunk)
        tally.add(len(chunk))
    return hasher.hexdigest()
