"""Taking blobs off a medium: each is read once, hashed as it streams, several at a time in bounded memory."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, Protocol

from airgap_bundle.digest import CHUNK, Digest
from airgap_bundle.errors import DigestMismatchError, StoreError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airgap_bundle.medium import BundleSource

    Progress = Callable[[int, int], None]

WORKERS = min(4, os.cpu_count() or 1)


def blob_path(digest: Digest) -> str:
    """Where a blob lies in a layout."""
    return f"blobs/sha256/{digest.hex}"


class Taker(Protocol):
    """What is done with a blob while it is checked."""

    def __call__(self, digest: Digest, size: int, source: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        """Read ``source``; raise ``DigestMismatchError`` unless it held exactly the blob. Called from threads."""


def hash_blob(digest: Digest, size: int, source: BinaryIO, on_bytes: Callable[[int], None]) -> None:
    """The taker that keeps nothing."""
    copy_blob(digest, size, source, None, on_bytes)


def copy_blob(
    digest: Digest, size: int, source: BinaryIO, sink: BinaryIO | None, on_bytes: Callable[[int], None]
) -> None:
    """Stream ``source`` into ``sink`` and hash what was written; at most one chunk more than ``size`` is read.

    Raises ``DigestMismatchError``, and ``StoreError`` when the medium fails while it is read.
    """
    hasher, total = hashlib.sha256(), 0
    while chunk := _read(source, digest):
        hasher.update(chunk)
        total += len(chunk)
        if total > size:
            break
        if sink is not None:
            sink.write(chunk)
        on_bytes(len(chunk))
    if total != size:
        raise DigestMismatchError(f"blob {digest} is not {size} bytes long, as was signed", _COPY_HINT)
    if hasher.hexdigest() != digest.hex:
        raise DigestMismatchError(f"blob {digest} holds other bytes than were signed", _COPY_HINT)


_COPY_HINT = "copy the bundle again; if it fails again, it was changed on its way"


def _read(source: BinaryIO, digest: Digest) -> bytes:
    try:
        return source.read(CHUNK)
    except OSError as error:
        raise StoreError(f"blob {digest} cannot be read: {error.strerror}", "try the medium again") from error


def take_all(medium: BundleSource, blobs: Mapping[Digest, int], take: Taker, progress: Progress | None) -> None:
    """Give every blob of ``medium`` to ``take``, ``WORKERS`` at a time; every one is tried.

    Raises the first refusal by digest, naming how many more there are, or the first ``StoreError``. ``progress`` is
    called with bytes done and bytes in all, from one thread at a time.
    """
    total, done, guard = sum(blobs.values()), 0, Lock()

    def on_bytes(count: int) -> None:
        nonlocal done
        with guard:
            done += count
            if progress is not None:
                progress(done, total)

    def one(digest: Digest, size: int) -> VerificationError | None:
        try:
            with medium.open(blob_path(digest)) as source:
                take(digest, size, source, on_bytes)
        except VerificationError as error:
            return error
        return None

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="blobs") as pool:
        pending = [pool.submit(one, digest, size) for digest, size in sorted(blobs.items())]
        try:
            refusals = [error for future in pending if (error := future.result()) is not None]
        finally:
            pool.shutdown(cancel_futures=True)
    if refusals:
        more = f" ({len(refusals) - 1} more blobs are refused)" if len(refusals) > 1 else ""
        raise type(refusals[0])(refusals[0].cause + more, refusals[0].hint)
