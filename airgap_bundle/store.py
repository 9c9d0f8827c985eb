"""The site's store: verified blobs by digest, and a record of every release that was imported.

    blobs/sha256/<hex>        content, exactly as signed; index.json and release.json are kept as blobs too
    releases/<version>.json   who signed the release, and the digests of its index and release file
    models/<version>.json     the same of a bundle of models

The store lies inside the site's trust domain: ``importer`` is its only writer, and writes a blob only while it hashes
it. Opening a release hashes its index, manifests and configs again; whoever uses a file's bytes hashes those.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from airgap_bundle.blobs import blob_path, hash_blob
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import DigestMismatchError, FormatError, MissingFileError, StoreError, UnsafeNameError
from airgap_bundle.names import check_name
from airgap_bundle.oci import MAX_DOCUMENT_BYTES, read_contents
from airgap_bundle.store_record import SUFFIX, DamagedRecord, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from airgap_bundle.oci import Contents, Manifest

RELEASES, MODELS_SHELF = "releases", "models"
_AGAIN = "import the release again: that puts it right"


@dataclass(frozen=True)
class StoredFile:
    """One file of an artifact; ``path`` is its blob in the store."""

    digest: Digest
    size: int
    media_type: str
    path: Path

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The file's bytes at their beginning, every one hashed before the first is handed out.

        Raises ``DigestMismatchError`` when they are not those that were signed and ``StoreError`` when the store fails.
        """
        try:
            stream = self.path.open("rb")
        except OSError as error:
            raise StoreError(f"blob {self.digest} cannot be opened: {error.strerror}", _AGAIN) from error
        with stream:
            try:
                hash_blob(self.digest, self.size, stream, lambda _count: None)
            except DigestMismatchError as error:
                raise DigestMismatchError(f"the store is damaged: {error.cause}", _AGAIN) from error
            stream.seek(0)
            yield stream


@dataclass(frozen=True)
class Artifact:
    """One artifact of a release: its config (parsed JSON) and its files by title."""

    name: str
    kind: str
    version: str
    digest: Digest
    config: Mapping[str, Any]
    files: Mapping[str, StoredFile]


@dataclass(frozen=True)
class VerifiedRelease:
    """A release that passed every check when it was imported; ``signers`` signed its targets with both halves."""

    name: str
    version: str
    number: int
    min_release: int
    root_fingerprint: str
    signers: tuple[str, ...]
    artifacts: Mapping[str, Artifact]
    digest: Digest


class Store:
    """The store at ``root``; reading only. ``shelf`` is the folder of the records that count here."""

    def __init__(self, root: Path, shelf: str = RELEASES) -> None:
        self.root = root
        self.shelf = shelf

    def path(self, digest: str) -> Path:
        """Where the blob ``digest`` lies. Raises ``FormatError`` for anything but a sha256 digest."""
        return self.root / blob_path(Digest.parse(digest))

    def record_path(self, version: str) -> Path:
        """Where the record of release ``version`` lies; the version was checked as a name."""
        return self.root / self.shelf / f"{version}{SUFFIX}"

    def records(self) -> tuple[Record, ...]:
        """Every release, by number. Raises ``StoreError`` for a record that cannot be read."""
        found, damaged = self.survey()
        if damaged:
            raise damaged[0].refusal
        return found

    def survey(self) -> tuple[tuple[Record, ...], tuple[DamagedRecord, ...]]:
        """Every release by number, and the records that cannot be read, by name."""
        read = [self._record(path) for path in sorted((self.root / self.shelf).glob(f"*{SUFFIX}"))]
        found = sorted((each for each in read if isinstance(each, Record)), key=lambda record: record.number)
        return tuple(found), tuple(each for each in read if isinstance(each, DamagedRecord))

    def record(self, version: str) -> Record:
        """The record of ``version``. Raises ``StoreError`` where it is not there, or cannot be read."""
        with suppress(UnsafeNameError):
            path = self.record_path(check_name(version))
            if path.exists():
                found = self._record(path)
                if isinstance(found, DamagedRecord):
                    raise found.refusal
                return found
        known = ", ".join(record.version for record in self.survey()[0]) or "none"
        raise StoreError(f"release {version} is not in the store (there: {known})", "import its bundle first")

    def _record(self, path: Path) -> Record | DamagedRecord:
        try:
            found = Record.parse(path.read_bytes())
        except OSError as error:
            return DamagedRecord(path, str(error.strerror))
        except FormatError as error:
            return DamagedRecord(path, error.cause)
        if path != self.record_path(found.version):
            return DamagedRecord(path, "it is about another version than its name says")
        return found

    def releases(self) -> tuple[str, ...]:
        """Versions of all imported releases, oldest number first."""
        return tuple(record.version for record in self.records())

    def open_release(self, version: str) -> VerifiedRelease:
        """The imported release ``version``.

        Raises ``StoreError`` when it is not there or its record cannot be read, ``MissingFileError`` and
        ``DigestMismatchError`` when the store was damaged since. Other releases are not looked at.
        """
        return self.open_record(self.record(version))

    def open_record(self, record: Record) -> VerifiedRelease:
        """As ``open_release``."""
        contents = self.contents(record)
        info = contents.release.info
        return VerifiedRelease(
            info.name,
            info.version,
            info.number,
            info.min_release,
            record.root_fingerprint,
            record.signers,
            {manifest.name: self._artifact(manifest, contents) for manifest in contents.artifacts},
            record.release,
        )

    def contents(self, record: Record) -> Contents:
        """Everything that the release's index names, its documents hashed. Raises as ``open_release``."""
        return self._contents(record, self._read)

    def documents(self, record: Record) -> frozenset[Digest]:
        """Every blob that opening the release reads: without one of them it does not open. Raises likewise."""
        found: set[Digest] = set()

        def read(digest: Digest) -> bytes:
            found.add(digest)
            return self._read(digest)

        self._contents(record, read)
        return frozenset(found)

    def _contents(self, record: Record, read: Callable[[Digest], bytes]) -> Contents:
        index, release = read(record.index), read(record.release)
        return read_contents(index, release, lambda descriptor: read(descriptor.digest))

    def _artifact(self, manifest: Manifest, contents: Contents) -> Artifact:
        assert manifest.kind is not None
        files = {
            name: StoredFile(layer.digest, layer.size, layer.media_type, self.path(layer.digest))
            for name, layer in manifest.files.items()
        }
        _, version, _ = contents.release.artifacts[manifest.name]
        return Artifact(manifest.name, manifest.kind, version, manifest.descriptor.digest, manifest.settings, files)

    def _read(self, digest: Digest) -> bytes:
        """One small blob, hashed."""
        try:
            with self.path(digest).open("rb") as stream:
                data = stream.read(MAX_DOCUMENT_BYTES + 1)
        except FileNotFoundError as error:
            raise MissingFileError(f"blob {digest} is not in the store", "import the release again") from error
        except OSError as error:
            raise StoreError(f"blob {digest} cannot be read: {error.strerror}") from error
        if sha256(data) != digest:
            raise DigestMismatchError(f"blob {digest} in the store was changed", "import the release again")
        return data
