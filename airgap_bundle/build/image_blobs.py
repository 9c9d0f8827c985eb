"""Blobs of images into the cache: by digest, resuming what broke off.

    ROOT/fetching/<hex>     what has come of a blob so far; locked while somebody fetches it

Bytes become an entry of the cache only whole and with the right digest. What broke off stays for the next attempt, in
this run or a later one; what turned out wrong is removed, and asked for once more from its beginning when the wrong
bytes may have been an earlier run's.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from airgap_bundle.build.registry import ATTEMPTS, InterruptedTransferError
from airgap_bundle.digest import sha256_stream
from airgap_bundle.errors import BuildError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airgap_bundle.build.cache import BuildCache, CachedFile
    from airgap_bundle.build.registry import Registry
    from airgap_bundle.digest import Digest


def fetch_blob(
    registry: Registry, digest: Digest, size: int, cache: BuildCache, on_bytes: Callable[[int], None]
) -> CachedFile:
    """The blob ``digest`` from the cache, fetched when it is not there; ``on_bytes`` hears how many bytes are there.

    Raises ``RegistryError`` when the registry serves other bytes, fewer or more, ``BuildError`` for lack of room.
    """
    found = cache.verified(digest.hex, size)
    if found is None:
        with _partial(cache, digest) as (path, stream):
            _check_room(cache, 2 * size - os.fstat(stream.fileno()).st_size)  # a rest becomes an entry by copying
            _complete(registry, digest, size, stream, on_bytes)
            found = cache.add_file(path)
            path.unlink()
    on_bytes(size)
    return found


@contextmanager
def _partial(cache: BuildCache, digest: Digest) -> Iterator[tuple[Path, BinaryIO]]:
    """The file that holds what has come so far, locked. Raises ``BuildError`` when another process fetches it."""
    folder = cache.root / "fetching"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / digest.hex
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BuildError(f"{digest} is being fetched by another build", "wait for it, then build again") from error
        if os.fstat(stream.fileno()).st_nlink == 0:
            raise BuildError(f"{digest} was fetched by another build just now", "build again: it is in the cache")
        try:
            yield path, stream
        finally:
            stream.flush()
            if os.fstat(stream.fileno()).st_size == 0:
                path.unlink(missing_ok=True)


def _check_room(cache: BuildCache, needed: int) -> None:
    """Raise ``BuildError`` when the cache's disk cannot hold ``needed`` bytes more."""
    room = os.statvfs(cache.root)
    free = room.f_bavail * room.f_frsize
    if needed > free:
        raise BuildError(f"the cache needs {needed} bytes for a blob, {free} are free", "free some space")


def _complete(registry: Registry, digest: Digest, size: int, stream: BinaryIO, on_bytes: Callable[[int], None]) -> None:
    """Fill ``stream`` until it is the blob. On a ``RegistryError`` other than an interruption nothing is left in it."""
    inherited = stream.seek(0, os.SEEK_END)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _append(registry, digest, size, stream, on_bytes)
        except InterruptedTransferError:
            if attempt == ATTEMPTS:
                raise
            continue
        except RegistryError:
            stream.truncate(0)
            raise
        stream.seek(0)
        if sha256_stream(stream)[0] == digest:
            stream.flush()
            return
        stream.truncate(0)
        if not inherited:
            raise RegistryError(f"{registry.host} serves other bytes for {digest}", "ask the registry's owner")
        inherited = 0
    raise RegistryError(f"{registry.host} does not serve {digest} whole", "ask the registry's owner")


def _append(registry: Registry, digest: Digest, size: int, stream: BinaryIO, on_bytes: Callable[[int], None]) -> None:
    """Fetch what is missing. Raises ``RegistryError`` as soon as there is a byte too much."""
    offset = stream.seek(0, os.SEEK_END)
    if offset >= size:
        offset = 0
    with registry.blob(digest, size, offset) as (begin, pieces):
        stream.seek(begin)
        stream.truncate()
        for piece in pieces:
            if stream.tell() + len(piece) > size:
                raise RegistryError(f"{registry.host} serves more than the {size} bytes of {digest}")
            stream.write(piece)
            on_bytes(stream.tell())
    stream.flush()
    if stream.tell() != size:
        raise InterruptedTransferError(
            f"{registry.host} serves {stream.tell()} of the {size} bytes of {digest}", "try again"
        )
