"""The builder's cache: everything by digest, so that an entry is either right or gone.

    ROOT/inputs/sha256/<hex>     bytes that were fetched or derived
    ROOT/derived/<key>.json      what a derivation with that key gave: {"files": {title: {"sha256", "size"}}, "facts"}

An entry appears by rename of a `.partial` file on the same file system, so an interrupted build leaves whole entries
and rubbish of its own process only. Entries are read-only by convention; `verified` hashes before it trusts.
Standard library only (see the package's docstring).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from airgap_bundle import strict_json
from airgap_bundle.digest import sha256, sha256_stream
from airgap_bundle.errors import BuildError, FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ENVIRONMENT = "SOVEREIGN_CACHE"
_WORK = "work-"
_YOUNG_SECONDS = 600


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold ``folder``; raises ``BlockingIOError`` when another process does. The lock ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class CachedFile:
    """A file that lies in the cache."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class Derived:
    """Result of a derivation: files by title, and facts about them as JSON."""

    files: Mapping[str, CachedFile]
    facts: Mapping[str, Any]


class BuildCache:
    """The cache below ``root``; folders are made when first used."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "inputs" / "sha256"
        self._derived = root / "derived"

    @classmethod
    def default(cls) -> BuildCache:
        """The user's cache: ``$SOVEREIGN_CACHE``, else ``~/.cache/sovereign``."""
        named = os.environ.get(ENVIRONMENT)
        return cls(Path(named) if named else Path.home() / ".cache" / "sovereign")

    def path(self, hexdigest: str) -> Path:
        """Where the blob lies, or would."""
        return self._blobs / hexdigest

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A scratch folder on the cache's file system, removed at the end; those of dead processes are removed too."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._sweep()
        with tempfile.TemporaryDirectory(prefix=_WORK, dir=self.root) as folder, _locked(Path(folder)):
            yield Path(folder)

    def _sweep(self) -> None:
        """Remove scratch folders that nobody holds; young ones stay, because their owner may be about to lock them."""
        for folder in self.root.glob(f"{_WORK}*"):
            try:
                if time.time() - folder.stat().st_mtime > _YOUNG_SECONDS:
                    with _locked(folder):
                        shutil.rmtree(folder)
            except (FileNotFoundError, BlockingIOError):
                continue  # its owner was quicker, or is alive

    def verified(self, hexdigest: str, size: int, on_bytes: Callable[[int], None] | None = None) -> CachedFile | None:
        """The blob when it lies here and hashes to its name; a damaged one is removed and counts as absent."""
        path = self.path(hexdigest)
        try:
            with path.open("rb") as stream:
                digest, length = sha256_stream(stream, on_bytes=on_bytes)
        except FileNotFoundError:
            return None
        if digest.hex == hexdigest and length == size:
            return CachedFile(path, hexdigest, size)
        path.unlink(missing_ok=True)
        return None

    def add_file(self, source: Path) -> CachedFile:
        """Take a copy of ``source``, hashed while it is copied."""
        with source.open("rb") as stream, self.writer() as partial:
            digest, size = sha256_stream(stream, sink=partial.stream)
            return partial.keep(digest.hex, size)

    def add_bytes(self, data: bytes) -> CachedFile:
        """Keep ``data``."""
        with self.writer() as partial:
            partial.stream.write(data)
            return partial.keep(sha256(data).hex, len(data))

    @contextmanager
    def writer(self) -> Iterator[Partial]:
        """A `.partial` file to fill; it becomes an entry by ``keep`` and vanishes otherwise."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix="new-", suffix=".partial", dir=self._blobs)
        with os.fdopen(descriptor, "wb") as stream:
            try:
                yield Partial(self, stream, Path(name))
            finally:
                Path(name).unlink(missing_ok=True)

    def derived(self, key: str) -> Derived | None:
        """What the derivation ``key`` gave, when its record and all its files are still here.

        The files are not hashed here: whoever copies them into a layout does that.
        """
        try:
            record = strict_json.load_object((self._derived / f"{key}.json").read_bytes())
        except (FileNotFoundError, FormatError):
            return None
        files = {
            title: CachedFile(self.path(entry["sha256"]), entry["sha256"], entry["size"])
            for title, entry in record["files"].items()
        }
        if any(not file.path.is_file() or file.path.stat().st_size != file.size for file in files.values()):
            return None
        return Derived(files, record["facts"])

    def remember(self, key: str, files: Mapping[str, CachedFile], facts: Mapping[str, Any]) -> Derived:
        """Record what the derivation ``key`` gave."""
        self._derived.mkdir(parents=True, exist_ok=True)
        entries = {title: {"sha256": file.sha256, "size": file.size} for title, file in files.items()}
        target = self._derived / f"{key}.json"
        partial = target.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({"files": entries, "facts": dict(facts)}, sort_keys=True), encoding="utf-8")
        partial.replace(target)
        return Derived(files, facts)

    def forget(self, hexdigest: str) -> None:
        """Remove a blob that turned out to be damaged."""
        self.path(hexdigest).unlink(missing_ok=True)


@dataclass(frozen=True)
class Partial:
    """A cache entry being written."""

    cache: BuildCache
    stream: BinaryIO
    path: Path

    def keep(self, hexdigest: str, size: int) -> CachedFile:
        """Make the file the entry ``hexdigest``; the caller hashed what it wrote."""
        self.stream.flush()
        if self.path.stat().st_size != size:
            raise BuildError(f"the cache at {self.cache.root} lost bytes", "is the disk full?")
        self.path.chmod(0o444)
        target = self.cache.path(hexdigest)
        self.path.replace(target)
        return CachedFile(target, hexdigest, size)


def derivation_key(subject: str, /, **inputs: object) -> str:
    """Key of a derivation: a digest over its name and everything that shapes its result (JSON values)."""
    return sha256(strict_json.dumps({"subject": subject, "inputs": inputs})).hex
