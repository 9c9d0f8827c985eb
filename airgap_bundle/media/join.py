"""Joining: the parts of a split set, from any number of media in any order, into one packed bundle.

Each part is read once, straight to its place in ``OUT.partial``; what is good is remembered, so that a pulled stick
costs one piece. When the last part is there, the whole bundle is verified against the site's trust, blob by blob, and
only then gets its name. So neither the list of parts nor the note of what is done can let a byte through; and when the
verification fails although every part was good once, the pieces are read again to say which part to copy anew.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, cast

from airgap_bundle import durable
from airgap_bundle.blobs import hash_blob, take_all
from airgap_bundle.digest import sha256, sha256_stream
from airgap_bundle.errors import (
    DigestMismatchError,
    FormatError,
    MalformedError,
    MissingFileError,
    MixedMetadataError,
    StoreError,
    VerificationError,
)
from airgap_bundle.media.disk import check_room
from airgap_bundle.media.join_state import SUFFIX, JoinState
from airgap_bundle.media.packed import PackedBundle
from airgap_bundle.media.part_copy import Fault, PartCopy
from airgap_bundle.media.part_folder import find_set
from airgap_bundle.media.part_list import PartList, verify_list
from airgap_bundle.media.random_access import FileBytes, Window
from airgap_bundle.supply import Anywhere
from airgap_bundle.verify import Verification

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap_bundle.blobs import Progress
    from airgap_bundle.media.part_copy import OpenPart
    from airgap_bundle.media.part_folder import PartFolder
    from airgap_bundle.report import ReleaseInfo
    from airgap_bundle.trust_state import TrustState

_SHOWN = 5
_DISK = "check this host's disk and rights, and run the same command"


@dataclass(frozen=True)
class Joining:
    """Where a join into ``out`` stands, in numbers of parts. ``done``: the bundle was verified and has its name."""

    out: Path
    copy: PartCopy
    have: tuple[int, ...]
    missing: tuple[int, ...]
    done: bool = False

    @property
    def parts(self) -> PartList:
        """The signed list."""
        return self.copy.parts

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Parts that could not be used."""
        return tuple(self.copy.faults)

    @property
    def complete(self) -> bool:
        """Whether every part is in its place."""
        return len(self.have) == len(self.parts.parts)

    def raise_for_fault(self) -> None:
        """Raise what stands in the way: a part to copy again, or a medium to plug in."""
        for fault in self.faults:
            _raise_fault(fault, len(self.parts.parts))
        if self.missing:
            names = ", ".join(self.parts.parts[number - 1].name for number in self.missing[:_SHOWN])
            more = f" and {len(self.missing) - _SHOWN} more" if len(self.missing) > _SHOWN else ""
            raise StoreError(
                f"{len(self.have)} of {len(self.parts.parts)} parts are here; missing: {names}{more}",
                "bring the next medium and run the same command; what was read is kept",
            )


def join(  # noqa: PLR0913 - where from, where to, whom to trust, and when
    folders: Sequence[Path],
    out: Path,
    trust: TrustState,
    *,
    now: datetime,
    progress: Progress | None = None,
    open_part: OpenPart = FileBytes,
) -> Joining:
    """``collect``, and ``finish`` when nothing is missing. Call it again with the next medium."""
    standing = collect(folders, out, trust, progress=progress, open_part=open_part)
    return finish(standing, trust, now=now, progress=progress) if standing.complete else standing


def collect(
    folders: Sequence[Path],
    out: Path,
    trust: TrustState,
    *,
    progress: Progress | None = None,
    open_part: OpenPart = FileBytes,
) -> Joining:
    """Take what parts ``folders`` hold into ``OUT.partial``. ``open_part`` opens a part's file.

    Raises a ``VerificationError`` for a list that is refused and ``StoreError``; faults of single parts are in the
    result.
    """
    if out.exists() or out.is_symlink():
        raise StoreError(f"{out} exists", "name a new file")
    sets = [find_set(folder) for folder in folders]
    try:
        data = _read_list(sets)
    except FormatError as error:
        raise MalformedError(error.cause, error.hint) from error
    parts = verify_list(data, trust)
    partial = out.with_name(out.name + durable.PARTIAL)
    state = JoinState.load(out.with_name(out.name + SUFFIX), sha256(data), parts)
    if not partial.exists():
        state.pieces.clear()
        check_room(out.parent, parts.size)
    copy = PartCopy(parts, partial, state, open_part, progress)
    numbers = range(1, len(parts.parts) + 1)
    copy.collect([[item.parts[number] for item in sets if number in item.parts] for number in numbers])
    have = tuple(number for number in numbers if copy.is_whole(number))
    faulty = {fault.number for fault in copy.faults}
    return Joining(out, copy, have, tuple(number for number in numbers if number not in faulty and number not in have))


def finish(standing: Joining, trust: TrustState, *, now: datetime, progress: Progress | None = None) -> Joining:
    """Verify the joined bundle and give it its name. Raises a ``VerificationError`` that names a part if one is bad."""
    copy, out = standing.copy, standing.out
    try:
        with PackedBundle(FileBytes(copy.target), out.name) as packed:
            run = Verification(packed, trust, now, Anywhere("another place"))
            run.check_metadata()
            run.raise_for_failure()
            _check_release(copy.parts, run.contents.release.info)
            here = {digest: size for digest, size in run.contents.blobs.items() if digest not in run.supplied}
            take_all(packed, here, hash_blob, progress)
    except VerificationError as error:
        try:
            fault = _blame(copy)
        except OSError as unreadable:
            raise StoreError(f"{copy.target} cannot be read: {unreadable.strerror}", _DISK) from unreadable
        if fault is not None:
            _raise_fault(fault, len(copy.parts.parts), error)
        raise
    try:
        copy.target.replace(out)
        copy.state.path.unlink(missing_ok=True)
        durable.sync_directory(out.parent)
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error.strerror}", _DISK) from error
    return replace(standing, done=True)


def _read_list(sets: Sequence[PartFolder]) -> bytes:
    """The one list on every medium. Raises ``MissingFileError``, ``DigestMismatchError`` where lists differ."""
    found: dict[bytes, Path] = {}
    for item in sets:
        if item.list is not None:
            found.setdefault(item.read_list(), item.list)
    if len(found) > 1:
        one, other, *_ = found.values()
        raise DigestMismatchError(f"{one} and {other} are different lists", "join one set at a time")
    if not found:
        raise MissingFileError("no list of parts lies in the folders given", "name the folder that holds NAME.LST")
    return next(iter(found))


def _check_release(parts: PartList, found: ReleaseInfo) -> None:
    if (parts.release, parts.version, parts.number) != (found.name, found.version, found.number):
        raise MixedMetadataError(
            f"the list is of {parts.release} {parts.version}, the parts are {found.name} {found.version}"
        )


def _blame(copy: PartCopy) -> Fault | None:
    """Read every piece again; the first that changed since it was copied is forgotten, and its part named."""
    with closing(FileBytes(copy.target)) as data:
        for number, part in enumerate(copy.parts.parts, 1):
            for index, wanted in enumerate(part.pieces):
                begin = index * copy.parts.piece
                piece = Window(data, copy.parts.offset(number) + begin, min(copy.parts.piece, part.size - begin))
                if sha256_stream(cast("BinaryIO", piece))[0] != wanted:
                    return copy.forget(number, index, "was changed on this host")
    return None


def _raise_fault(fault: Fault, count: int, origin: VerificationError | None = None) -> None:
    cause = f"recopy part {fault.number} of {count}: {fault.name} {fault.cause}"
    if fault.unreadable:
        raise StoreError(cause, "plug the medium in again and run the same command; what was read is kept")
    raise DigestMismatchError(cause, "copy that part again and run the same command; the others are kept") from origin
