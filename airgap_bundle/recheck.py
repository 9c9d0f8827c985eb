"""Verifying a site's store again: whether every blob of every imported release is still what was signed.

``recheck`` reads and hashes all of them. That is the answer to give an auditor, and takes as long as reading the disk.
``recheck_changed`` is the quicker question, for every night: a file that has the inode, size and times that it had when
its bytes were last hashed is not read again. It trusts the kernel and whoever holds root not to have gone around them,
and knows nothing of a disk that loses bits; so it is asked for by name, and its answer says what was not read.

What was hashed is remembered in ``checked.json`` in the store, where that can be written. A file that changed so
shortly before that another change might carry the same time is not remembered.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airgap_bundle import durable, strict_json
from airgap_bundle.blobs import hash_blob, take_all
from airgap_bundle.errors import FormatError, StoreError, VerificationError
from airgap_bundle.medium import Medium
from airgap_bundle.store import MODELS_SHELF, Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airgap_bundle.blobs import Progress
    from airgap_bundle.digest import Digest

CHECKED = "checked.json"
MAX_CHECKED_BYTES = 64 << 20
# Times of files come in ticks of some milliseconds, on some file systems of two seconds.
_SETTLED_NANOSECONDS = 2_000_000_000

Identity = list[int]


@dataclass(frozen=True)
class Recheck:
    """``read`` blobs were hashed and are as signed; ``unread`` ones only look as they did when they were hashed."""

    releases: tuple[str, ...]
    read: int
    read_bytes: int
    unread: int
    unread_bytes: int


def recheck(store: Store, progress: Progress | None = None) -> Recheck:
    """Hash every blob of every release in ``store``.

    Raises ``MissingFileError``, ``DigestMismatchError`` or ``SpecialFileError`` for the first blob that is not as
    signed, naming how many more there are, and ``StoreError`` where the store cannot be read.
    """
    return _recheck(store, {}, progress)


def recheck_changed(store: Store, progress: Progress | None = None) -> Recheck:
    """As ``recheck``, without reading what looks as it did when it was last hashed."""
    return _recheck(store, _remembered(store), progress)


def _recheck(store: Store, known: Mapping[str, Identity], progress: Progress | None) -> Recheck:
    blobs, releases = _blobs(store)
    before = {digest: identity for digest in blobs if (identity := _identity(store.path(digest))) is not None}
    unread = {
        digest: size for digest, size in blobs.items() if digest in before and before[digest] == known.get(digest)
    }
    read = {digest: size for digest, size in blobs.items() if digest not in unread}
    settled = time.time_ns() - _SETTLED_NANOSECONDS
    try:
        with Medium(store.root) as medium:
            take_all(medium, read, hash_blob, progress)
    except VerificationError as error:
        raise type(error)(error.cause, "import the release again: what is damaged is replaced; and ask why") from error
    kept = {
        str(digest): identity
        for digest, identity in before.items()
        if identity == _identity(store.path(digest)) and identity[-1] < settled
    }
    with suppress(StoreError):  # an auditor who may only read gets the same answer
        durable.replace(store.root / CHECKED, strict_json.dumps({"schema": 1, "blobs": kept}))
    return Recheck(releases, len(read), sum(read.values()), len(unread), sum(unread.values()))


def _blobs(store: Store) -> tuple[dict[Digest, int], tuple[str, ...]]:
    """Every blob that a release or bundle of models names, with its size; documents are hashed while followed."""
    found: dict[Digest, int] = {}
    versions: list[str] = []
    for shelf in (store, Store(store.root, MODELS_SHELF)):
        for record in shelf.records():
            found |= shelf.contents(record).blobs
            for digest in (record.index, record.release):
                found[digest] = store.path(digest).stat().st_size
            versions.append(record.version if shelf is store else f"models {record.version}")
    return found, tuple(versions)


def _identity(path: Path) -> Identity | None:
    """Inode, size and times of ``path`` itself; None where there is none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be looked at: {error.strerror}") from error
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _remembered(store: Store) -> Mapping[str, Identity]:
    """What was hashed before; nothing where no record is there, or it is damaged: everything is read then."""
    try:
        data = (store.root / CHECKED).read_bytes()
        found: dict[str, Any] = strict_json.load_object(data, max_bytes=MAX_CHECKED_BYTES)
    except (OSError, FormatError):
        return {}
    blobs = found.get("blobs")
    return blobs if found.get("schema") == 1 and isinstance(blobs, dict) else {}
