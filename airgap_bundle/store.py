"""The site's store: verified blobs by digest, and a record of every release that was imported.

    blobs/sha256/<hex>        content, exactly as signed; index.json and release.json are kept as blobs too
    releases/<version>.json   who signed the release, and the digests of its index and release file
    models/<version>.json     the same of a bundle of models

The store lies inside the site's trust domain: ``importer`` is its only writer, and writes a blob only while it hashes
it. Opening a release hashes its index, manifests and configs again; whoever uses a file's bytes hashes those.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from airgap_bundle import strict_json
from airgap_bundle.blobs import blob_path, hash_blob
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import DigestMismatchError, FormatError, MissingFileError, StoreError
from airgap_bundle.oci import MAX_DOCUMENT_BYTES, read_contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
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


@dataclass(frozen=True)
class Record:
    """``releases/<version>.json``."""

    version: str
    number: int
    index: Digest
    release: Digest
    root_fingerprint: str
    signers: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The record's file."""
        return strict_json.dumps(
            {
                "schema": 1,
                "version": self.version,
                "number": self.number,
                "index": self.index,
                "release": self.release,
                "root_fingerprint": self.root_fingerprint,
                "signers": list(self.signers),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Record:
        """Read a record. Raises ``FormatError``."""
        value = strict_json.load_object(data, max_bytes=MAX_DOCUMENT_BYTES)
        try:
            if value["schema"] != 1:
                raise FormatError(f"release record of schema {value['schema']!r}")
            return cls(
                str(value["version"]),
                int(value["number"]),
                Digest.parse(value["index"]),
                Digest.parse(value["release"]),
                Digest.parse(value["root_fingerprint"]),
                tuple(map(str, value["signers"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"release record lacks or misspells {error}") from error


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
        return self.root / self.shelf / f"{version}.json"

    def records(self) -> tuple[Record, ...]:
        """Every release, by number. Raises ``StoreError`` for a record that cannot be read."""
        try:
            found = [Record.parse(path.read_bytes()) for path in (self.root / self.shelf).glob("*.json")]
        except (OSError, FormatError) as error:
            raise StoreError(f"a release record in {self.root} cannot be read: {error}", "import it again") from error
        return tuple(sorted(found, key=lambda record: record.number))

    def releases(self) -> tuple[str, ...]:
        """Versions of all imported releases, oldest number first."""
        return tuple(record.version for record in self.records())

    def open_release(self, version: str) -> VerifiedRelease:
        """The imported release ``version``.

        Raises ``StoreError`` when it is not there, ``MissingFileError`` and ``DigestMismatchError`` when the store was
        damaged since.
        """
        record = next((found for found in self.records() if found.version == version), None)
        if record is None:
            known = ", ".join(self.releases()) or "none"
            raise StoreError(f"release {version} is not in the store (there: {known})", "import its bundle first")
        return self.open_record(record)

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
        index, release = self._read(record.index), self._read(record.release)
        return read_contents(index, release, lambda descriptor: self._read(descriptor.digest))

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
