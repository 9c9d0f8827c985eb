"""Packing: a sealed bundle as one file, in an order that lets a reader decide before the bulk arrives.

Equal bundles give equal bytes. Each blob is hashed while it is written, so that a bad disk is met here and not behind
the gap. Whom to trust is not asked: the bundle is measured against its own first root, which says that it is whole.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from airgap_bundle import durable
from airgap_bundle.blobs import copy_blob
from airgap_bundle.chain import read_roots
from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError, MalformedError, StoreError
from airgap_bundle.media.disk import check_room
from airgap_bundle.media.head_rules import MAX_HEAD_FILE, HeadRules
from airgap_bundle.media.opening import open_bundle
from airgap_bundle.media.order import BLOBS, packed_order
from airgap_bundle.media.packed_header import END, member_header, packed_size
from airgap_bundle.supply import Anywhere
from airgap_bundle.tar_header import padding
from airgap_bundle.trust_state import TrustState, fingerprint
from airgap_bundle.verify import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tuf.api.metadata import Root

    from airgap_bundle.blobs import Progress
    from airgap_bundle.medium import BundleSource
    from airgap_bundle.oci import Contents


@dataclass(frozen=True)
class Whole:
    """A bundle that is sealed and agrees with itself; ``files`` are sizes by path, in packed order."""

    source: BundleSource
    contents: Contents
    root: Root
    roots: tuple[bytes, ...]
    files: dict[str, int]
    lacking: int

    @property
    def size(self) -> int:
        """Bytes of the packed file."""
        return packed_size(self.files)


@dataclass(frozen=True)
class Packed:
    """What was packed; ``lacking`` blobs are left out of a delta. ``size`` in bytes."""

    release: str
    version: str
    files: int
    lacking: int
    size: int


@contextmanager
def open_whole(bundle: Path) -> Iterator[Whole]:
    """The sealed bundle ``bundle``, by its own first root; its blobs are not read.

    Raises ``StoreError``, and a ``VerificationError`` when it is not sealed or does not agree with itself.
    """
    with open_bundle(bundle) as source:
        roots = read_roots(source, source.list().files)
        own = TrustState.expecting(fingerprint(roots[min(roots)]))
        run = Verification(source, own, datetime.now(UTC), Anywhere("another place"))
        run.check_metadata()
        run.raise_for_failure()
        files = {path: run.listing.files[path] for path in packed_order(run.listing.files, run.contents)}
        _check_head(files)
        yield Whole(source, run.contents, run.chain.root, tuple(roots.values()), files, len(run.supplied))


def _check_head(files: Mapping[str, int]) -> None:
    """That every reader takes what is packed here."""
    rules = HeadRules()
    try:
        for path, size in files.items():
            rules.in_head(path, size)
    except FormatError as error:
        raise MalformedError(error.cause, "a bundle with such files travels as a folder only") from error


def pack(bundle: Path, out: Path, *, progress: Progress | None = None) -> Packed:
    """Write ``bundle`` as the file ``out``, which must not exist; whole and durable, or not there at all.

    Raises ``StoreError``, and a ``VerificationError`` when the bundle is not sealed or a blob is damaged.
    """
    if out.exists() or out.is_symlink():
        raise StoreError(f"{out} exists", "name a new file")
    with open_whole(bundle) as whole:
        check_room(out.parent, whole.size)
        partial = out.with_name(out.name + durable.PARTIAL)
        try:
            partial.unlink(missing_ok=True)
            with partial.open("xb") as sink:
                done = write_packed(whole, sink, progress)
                sink.flush()
                os.fsync(sink.fileno())
            partial.replace(out)
            durable.sync_directory(out.parent)
        except OSError as error:
            raise StoreError(f"{out} cannot be written: {error.strerror}", "check free space and rights") from error
        finally:
            partial.unlink(missing_ok=True)
    return done


def write_packed(whole: Whole, sink: BinaryIO, progress: Progress | None) -> Packed:
    """Write ``whole`` to ``sink``, front to back. Raises as ``pack``; ``OSError`` when ``sink`` does."""
    total, done = whole.size, 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    for path, size in whole.files.items():
        header = member_header(path, size)
        sink.write(header)
        advance(len(header))
        copy_file(whole.source, path, size, sink, advance)
        advance(sink.write(padding(size)))
    sink.write(END)
    advance(len(END))
    info = whole.contents.release.info
    return Packed(info.name, info.version, len(whole.files), whole.lacking, total)


def copy_file(source: BundleSource, path: str, size: int, sink: BinaryIO, advance: Callable[[int], None]) -> None:
    """Copy the file ``path`` of ``source`` to ``sink``; a blob is hashed on its way. Raises as ``write_packed``."""
    if path.startswith(BLOBS):
        with source.open(path) as stream:
            copy_blob(Digest.from_hex(path.rsplit("/", 1)[1]), size, stream, sink, advance)
        return
    data = source.read(path, MAX_HEAD_FILE)
    if len(data) != size:
        raise StoreError(f"{path} changed its length while it was read", "run it again")
    sink.write(data)
    advance(len(data))
