"""Writing into the store, with a memory of what was written, so that a refused import leaves nothing behind."""

from __future__ import annotations

import errno
import io
import os
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, Self

from airgap_bundle import durable
from airgap_bundle.blobs import copy_blob, hash_blob
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import BundleError, DigestMismatchError, StoreError, VerificationError
from airgap_bundle.store import RELEASES, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from airgap_bundle.store_record import Record

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FREE_SPACE_HINT = "free some space and import again"


class Intake:
    """The writing side of the store at ``root``: a context manager that undoes what it did unless ``keep`` was called.

    Undone on a ``BundleError`` only. Anything else (a signal, a defect) leaves whole blobs and
    ``.partial`` files behind, as a power cut would, and the next import makes use of them. A damaged blob that was
    replaced by its right bytes stays replaced.
    """

    def __init__(self, root: Path, shelf: str = RELEASES) -> None:
        self._store = Store(root, shelf)
        self._blobs = root / "blobs" / "sha256"
        self._releases = root / shelf
        self._folders: list[Path] = []
        self._written: list[Path] = []
        self._replaced: dict[Path, bytes] = {}
        self._guard = Lock()
        self._kept = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._kept and isinstance(error, BundleError):
            self._undo()

    def keep(self) -> None:
        """From here on nothing is undone."""
        self._kept = True

    def undo(self) -> None:
        """Take back what was written, for a refusal that is not this library's."""
        self._undo()
        self._kept = True

    def make_folder(self, folder: Path) -> None:
        """Make ``folder`` and its parents, remembering which are new."""
        new = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            for path in reversed(new):
                path.mkdir(mode=0o755)
                self._folders.append(path)
        except OSError as error:
            raise StoreError(f"{folder} cannot be made: {error.strerror}") from error

    def reserve(self, blobs: Mapping[Digest, int]) -> None:
        """Refuse early when the disk cannot hold what is missing. Raises ``StoreError``."""
        self.make_folder(self._blobs)
        self.make_folder(self._releases)
        needed = sum(size for digest, size in blobs.items() if not self._store.path(digest).exists())
        try:
            room = os.statvfs(self._blobs)
        except OSError as error:
            raise StoreError(f"{self._blobs} cannot be measured: {error.strerror}") from error
        free = room.f_bavail * room.f_frsize
        if needed > free:
            raise StoreError(f"the store needs {needed} bytes more, {free} are free", _FREE_SPACE_HINT)

    def take(self, digest: Digest, size: int, source: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        """A blob of the medium (see ``blobs.Taker``): copied and hashed, or only hashed when the store has it whole.

        The medium's bytes are checked either way: a bundle is refused for any byte that is not as signed.
        """
        if self._is_whole(digest, size):
            hash_blob(digest, size, source, on_bytes)
            return
        self._copy(digest, size, source, on_bytes)

    def put(self, data: bytes) -> Digest:
        """Keep ``data`` as a blob."""
        digest = sha256(data)
        self.take(digest, len(data), io.BytesIO(data), lambda _count: None)
        return digest

    def record(self, record: Record) -> None:
        """Write the release's record; all its blobs are durable by then, and what a power cut left half is gone."""
        try:
            for leftover in self._blobs.glob(f"*{durable.PARTIAL}"):
                leftover.unlink()
            durable.sync_directory(self._blobs)
        except OSError as error:
            raise StoreError(f"{self._blobs} cannot be synced: {error.strerror}") from error
        path = self._store.record_path(record.version)
        data = record.to_bytes()
        try:
            before = path.read_bytes()
        except FileNotFoundError:
            self._written.append(path)
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}", "move it away, and import again") from error
        else:
            if before == data:
                return
            self._replaced[path] = before
        durable.replace(path, data)

    def _is_whole(self, digest: Digest, size: int) -> bool:
        """Whether the store holds the blob, by its bytes: a name alone proves nothing.

        A link, or a file that has another name somewhere, is not held here: it can be changed through that name.
        """
        try:
            descriptor = os.open(self._store.path(digest), _READ_FLAGS)
            with os.fdopen(descriptor, "rb", buffering=0) as stream:
                if os.fstat(descriptor).st_nlink != 1:
                    return False
                hash_blob(digest, size, stream, lambda _count: None)
        except (FileNotFoundError, DigestMismatchError):
            return False
        except OSError as error:
            if error.errno == errno.ELOOP:
                return False
            raise StoreError(f"blob {digest} in the store cannot be read: {error.strerror}") from error
        return True

    def _copy(self, digest: Digest, size: int, source: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        path = self._store.path(digest)
        partial = path.with_name(path.name + durable.PARTIAL)
        try:
            with durable.create(partial) as sink:
                copy_blob(digest, size, source, sink, on_bytes)
                sink.flush()
                os.fsync(sink.fileno())
            with self._guard:
                if not path.exists():
                    self._written.append(path)
            partial.replace(path)
        except OSError as error:
            durable.discard(partial)
            raise StoreError(f"blob {digest} cannot be written: {error.strerror}", _FREE_SPACE_HINT) from error
        except VerificationError:
            durable.discard(partial)
            raise

    def _undo(self) -> None:
        for path in self._written:
            path.unlink(missing_ok=True)
        for path, data in self._replaced.items():
            durable.replace(path, data)
        for folder in reversed(self._folders):
            try:
                folder.rmdir()
            except OSError:
                continue
