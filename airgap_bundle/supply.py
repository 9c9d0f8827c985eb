"""Where the blobs lie that a bundle leaves out: a delta is a whole signed release without what its site holds.

Nothing lists what is left out. The index names every blob of the release by digest, persons have signed the index, and
whatever does not lie on the medium must lie in the supply, where it is hashed like any other blob. So there is no list
that could be forged, and a delta at the wrong site is a bundle with files missing.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from airgap_bundle.blobs import Taker, blob_path, hash_blob
from airgap_bundle.errors import DigestMismatchError, MissingFileError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from airgap_bundle.digest import Digest
    from airgap_bundle.medium import BundleSource, Listing
    from airgap_bundle.store import Store

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Supply(Protocol):
    """Blobs beside the medium."""

    @property
    def name(self) -> str:
        """What to call the place in a sentence."""

    def holds(self, digest: Digest, size: int) -> bool:
        """Whether a file of that name and size is there; only reading it tells whether it is the blob."""

    def open(self, digest: Digest) -> AbstractContextManager[BinaryIO]:
        """The blob's file, not hashed. Raises ``MissingFileError``, ``StoreError``."""


class Nowhere:
    """The supply of a full bundle: nothing may be left out."""

    name = "no other place"

    def holds(self, _digest: Digest, _size: int) -> bool:
        """No."""
        return False

    def open(self, digest: Digest) -> AbstractContextManager[BinaryIO]:
        """Raises ``MissingFileError``."""
        raise MissingFileError(f"blob {digest} is missing", "copy the bundle again")


@dataclass(frozen=True)
class Anywhere(Nowhere):
    """For whoever only carries or describes a bundle and never uses its blobs: they may be left out, not opened."""

    name: str

    def holds(self, _digest: Digest, _size: int) -> bool:
        """Yes, as far as the carrier is concerned."""
        return True


class StoreSupply:
    """The site's own store.

    A file with another name somewhere is not held, as for an import of the full bundle: it can be changed through that.
    """

    name = "the site's store"

    def __init__(self, store: Store) -> None:
        self._store = store

    def holds(self, digest: Digest, size: int) -> bool:
        """Whether the store has a regular file of that name and size, and of no other name."""
        try:
            found = self._store.path(digest).lstat()
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == size and found.st_nlink == 1

    @contextmanager
    def open(self, digest: Digest) -> Iterator[BinaryIO]:
        """The blob's file in the store."""
        try:
            stream = os.fdopen(os.open(self._store.path(digest), _FLAGS), "rb", buffering=0)
        except FileNotFoundError as error:
            raise MissingFileError(f"blob {digest} has left the store", "bring the full bundle") from error
        except OSError as error:
            raise StoreError(f"blob {digest} in the store cannot be opened: {error.strerror}") from error
        with stream:
            yield stream


def left_out(blobs: Mapping[Digest, int], listing: Listing, supply: Supply) -> frozenset[Digest]:
    """Which of ``blobs`` do not lie on the medium and, by name and size, do in ``supply``."""
    lacking = ((digest, size) for digest, size in blobs.items() if blob_path(digest) not in listing.files)
    return frozenset(digest for digest, size in lacking if supply.holds(digest, size))


class Joined:
    """A medium and the ``supplied`` blobs beside it, as one source. Only those come from the supply."""

    def __init__(self, medium: BundleSource, supply: Supply, supplied: frozenset[Digest]) -> None:
        self._medium, self._supply = medium, supply
        self._paths = {blob_path(digest): digest for digest in supplied}

    def list(self) -> Listing:
        """What lies on the medium itself."""
        return self._medium.list()

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The file ``path``, from where it lies."""
        digest = self._paths.get(path)
        return self._medium.open(path) if digest is None else self._supply.open(digest)

    def read(self, path: str, max_bytes: int) -> bytes:
        """A file of the medium."""
        return self._medium.read(path, max_bytes)


def take_supplied(take: Taker, supplied: frozenset[Digest]) -> Taker:
    """``take`` for what lies on the medium; what is ``supplied`` is in its place already and only hashed there."""

    def either(digest: Digest, size: int, source: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        if digest not in supplied:
            take(digest, size, source, on_bytes)
            return
        try:
            hash_blob(digest, size, source, on_bytes)
        except DigestMismatchError as error:
            cause = f"blob {digest} in the store was changed, and this delta does not carry it"
            raise DigestMismatchError(cause, "bring the full bundle: importing it mends the store") from error

    return either
