"""Unpacking: one pass over a packed bundle, from a file or a pipe; nothing is written for a bundle that is refused.

The order, and why:

1. the head is read and verified as far as the file list: signatures, versions, floors, index, release, documents;
2. only then is a folder made, ``OUT.partial``, and each blob hashed while it is written there; the first byte that is
   not as signed, and the first member that is not the one that must follow, ends it and takes the folder away;
3. the head's own files are written, everything is synced, and the folder gets its name.

A medium that fails, a full disk or a signal leave ``OUT.partial``. The next run hashes what lies there and, where the
source can seek, does not read it again.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from airgap_bundle import durable
from airgap_bundle.blobs import blob_path, copy_blob, hash_blob
from airgap_bundle.digest import Digest
from airgap_bundle.errors import (
    DigestMismatchError,
    FormatError,
    MalformedError,
    StoreError,
    UnlistedFileError,
    VerificationError,
)
from airgap_bundle.media.disk import check_room
from airgap_bundle.media.head import Content, PackedHead, PackedStream
from airgap_bundle.media.order import bulk
from airgap_bundle.supply import Anywhere
from airgap_bundle.verify import Verification

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airgap_bundle.blobs import Progress
    from airgap_bundle.media.packed_header import PackedMember
    from airgap_bundle.report import Report
    from airgap_bundle.trust_state import TrustState


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked, with the verification's report; ``lacking`` blobs are left out of a delta."""

    report: Report
    blobs: int
    lacking: int


def unpack(
    source: BinaryIO, out: Path, trust: TrustState, *, now: datetime, progress: Progress | None = None
) -> Unpacked:
    """Verify the packed bundle that ``source`` gives and write it as the directory ``out``, which must not exist.

    Raises a ``VerificationError`` for a refusal, with nothing left behind, and ``StoreError`` when medium or disk fail.
    """
    if out.exists() or out.is_symlink():
        raise StoreError(f"{out} exists", "name a new folder")
    try:
        stream = PackedStream(source)
        head = PackedHead(stream)
    except FormatError as error:
        raise MalformedError(error.cause, error.hint) from error
    run = Verification(head, trust, now, Anywhere("what follows"))
    run.check_metadata()
    run.raise_for_failure()
    target = _Target(out, run, head, progress)
    try:
        lacking = target.fill(source, stream)
    except FormatError as error:
        target.discard()
        raise MalformedError(error.cause, error.hint) from error
    except VerificationError:
        target.discard()
        raise
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error.strerror}", "free some space and run it again") from error
    return Unpacked(run.report(), len(run.contents.blobs) - lacking, lacking)


class _Target:
    """``OUT.partial`` while it is filled."""

    def __init__(self, out: Path, run: Verification, head: PackedHead, progress: Progress | None) -> None:
        self._out, self._run, self._head, self._progress = out, run, head, progress
        self._folder = out.with_name(out.name + durable.PARTIAL)
        self._blobs = self._folder / "blobs" / "sha256"
        self._total, self._done = sum(run.contents.blobs.values()), 0

    def fill(self, source: BinaryIO, stream: PackedStream) -> int:
        """Write everything; how many blobs the bundle leaves out."""
        self._prepare()
        for path, data in self._head.documents.items():
            self._put(self._folder / path, data)
            self._advance(len(data))
        places = {blob_path(digest): (place, digest) for place, digest in enumerate(bulk(self._run.contents))}
        after, taken = -1, 0
        while (member := stream.next) is not None:
            after, digest = self._expected(member, places, after)
            self._take(digest, member, source, stream)
            taken += 1
            stream.end_member(member)
        if stream.up_to(1):
            raise FormatError("packed bundle goes on after its end")
        self._finish()
        return len(places) - taken

    def discard(self) -> None:
        """Take away what was written."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _expected(
        self, member: PackedMember, places: Mapping[str, tuple[int, Digest]], after: int
    ) -> tuple[int, Digest]:
        """Place and digest of ``member``, which must come after ``after`` and have the size that was signed."""
        place, digest = places.get(member.path, (-1, Digest()))
        if place <= after:
            raise UnlistedFileError(
                f"{member.path} is named by no signed metadata, or out of order", "ask who packed it"
            )
        size = self._run.contents.blobs[digest]
        if member.size != size:
            raise DigestMismatchError(f"{member.path} is {member.size} bytes long, signed were {size}", "copy it again")
        return place, digest

    def _prepare(self) -> None:
        """Make the folder, or take over the one that an interrupted run left, without what does not belong there."""
        try:
            self._folder.mkdir(mode=0o755)
        except FileExistsError:
            self._check_ours()
        self._blobs.mkdir(parents=True, exist_ok=True)
        wanted = {digest.hex for digest in self._run.contents.blobs}
        for path in self._blobs.iterdir():
            if path.name not in wanted:
                path.unlink()
        held = sum(path.lstat().st_size for path in self._blobs.iterdir())
        check_room(self._folder, self._total - held)

    def _check_ours(self) -> None:
        found = self._folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise StoreError(
                f"{self._folder} was not left by an unpacking of yours", "remove it, or name another folder"
            )

    def _take(self, digest: Digest, member: PackedMember, source: BinaryIO, stream: PackedStream) -> None:
        path = self._blobs / digest.hex
        if _is_whole(path, digest, member.size):
            if source.seekable():
                source.seek(member.size, os.SEEK_CUR)
                self._advance(member.size)
            else:
                hash_blob(digest, member.size, cast("BinaryIO", Content(stream, member.size)), self._advance)
            return
        partial = path.with_name(path.name + durable.PARTIAL)
        with partial.open("wb") as sink:
            copy_blob(digest, member.size, cast("BinaryIO", Content(stream, member.size)), sink, self._advance)
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(path)

    def _put(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as sink:
            sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())

    def _advance(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _finish(self) -> None:
        """Write the head's files, make every name durable, and give the folder its own."""
        for path, data in self._head.files.items():
            self._put(self._folder / path, data)
        for folder, _, _ in os.walk(self._folder):
            durable.sync_directory(Path(folder))
        self._folder.rename(self._out)
        durable.sync_directory(self._out.parent)


def _is_whole(path: Path, digest: Digest, size: int) -> bool:
    """Whether an earlier run left the blob, by its bytes."""
    try:
        with path.open("rb") as stream:
            hash_blob(digest, size, stream, lambda _count: None)
    except (FileNotFoundError, DigestMismatchError):
        return False
    return True
