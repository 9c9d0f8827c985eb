"""Copying the parts of a split set to their places in the joined file, piece by piece, each piece hashed on its way.

A piece counts only once its digest held and its bytes are durable; a wrong one stays where it is and is overwritten by
the next try. What goes wrong with one part is a ``Fault``, so that the other parts are still collected.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airgap_bundle.digest import CHUNK
from airgap_bundle.errors import BundleError, StoreError
from airgap_bundle.media.disk import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from airgap_bundle.blobs import Progress
    from airgap_bundle.media.join_state import JoinState
    from airgap_bundle.media.part_list import PartList
    from airgap_bundle.media.random_access import RandomAccess

    OpenPart = Callable[[Path], RandomAccess]

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Fault:
    """A part that could not be used: its number, its file, and what is wrong in words.

    ``unreadable``: the medium failed; otherwise it gave other bytes than were signed.
    """

    number: int
    name: str
    cause: str
    unreadable: bool


@dataclass
class PartCopy:
    """Fills ``target`` with ``parts``; ``state`` remembers what is done. ``open_part`` opens a part's file."""

    parts: PartList
    target: Path
    state: JoinState
    open_part: OpenPart
    progress: Progress | None
    faults: list[Fault] = field(default_factory=list)

    def collect(self, copies: Sequence[Sequence[Path]]) -> None:
        """Copy each part that is not whole yet from the first of its ``copies`` that is good. Raises ``StoreError``."""
        try:
            descriptor = os.open(self.target, _FLAGS, 0o644)
        except OSError as error:
            raise StoreError(f"{self.target} cannot be written: {error.strerror}", "name another file") from error
        try:
            self._check_ours(os.fstat(descriptor))
            os.ftruncate(descriptor, self.parts.size)
            for number, paths in enumerate(copies, 1):
                self._collect_part(number, paths, descriptor)
        except OSError as error:
            raise StoreError(f"{self.target} cannot be written: {error.strerror}", "check the disk's room") from error
        finally:
            os.close(descriptor)

    def _check_ours(self, found: os.stat_result) -> None:
        """Nobody else may hold the file that is verified in the end, or write to it."""
        private = stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and not found.st_mode & 0o022
        if not private or found.st_uid != os.geteuid():
            raise StoreError(f"{self.target} was not left by a join of yours", "remove it, or name another file")

    def is_whole(self, number: int) -> bool:
        """Whether every piece of part ``number`` is in its place."""
        return self.state.pieces.get(number, 0) == len(self.parts.parts[number - 1].pieces)

    def forget(self, number: int, piece: int, cause: str) -> Fault:
        """Take back that ``piece`` of part ``number``, and what follows it, is done."""
        self.state.pieces[number] = piece
        self.state.save()
        return self._fault(number, f"{cause} at {size_text(piece * self.parts.piece)}")

    def _collect_part(self, number: int, paths: Sequence[Path], descriptor: int) -> None:
        faults = []
        for path in () if self.is_whole(number) else paths:
            fault = self._copy(number, path, descriptor)
            if fault is None:
                return
            faults.append(fault)
        self.faults += faults[:1]

    def _copy(self, number: int, path: Path, descriptor: int) -> Fault | None:
        part = self.parts.parts[number - 1]
        try:
            source = self.open_part(path)
        except BundleError as error:
            return self._fault(number, error.cause, unreadable=True)
        try:
            if source.size != part.size:
                return self._fault(number, f"has {source.size} bytes instead of {part.size}")
            for index in range(self.state.pieces.get(number, 0), len(part.pieces)):
                fault = self._copy_piece(number, index, source, descriptor)
                if fault is not None:
                    return fault
        finally:
            source.close()
        return None

    def _copy_piece(self, number: int, index: int, source: RandomAccess, descriptor: int) -> Fault | None:
        part, begin = self.parts.parts[number - 1], index * self.parts.piece
        end, hasher = min(begin + self.parts.piece, part.size), hashlib.sha256()
        for offset in range(begin, end, CHUNK):
            try:
                chunk = source.read_at(offset, min(CHUNK, end - offset))
            except OSError as error:
                cause = f"cannot be read at {size_text(offset)}: {error.strerror}"
                return self._fault(number, cause, unreadable=True)
            hasher.update(chunk)
            self._put(descriptor, chunk, self.parts.offset(number) + offset)
        if hasher.hexdigest() != part.pieces[index].hex:
            return self._fault(number, f"differs at {size_text(begin)}")
        os.fdatasync(descriptor)
        self.state.pieces[number] = index + 1
        self.state.save()
        if self.progress is not None:
            self.progress(self._bytes_done(), self.parts.size)
        return None

    @staticmethod
    def _put(descriptor: int, data: bytes, offset: int) -> None:
        while data:
            count = os.pwrite(descriptor, data, offset)
            data, offset = data[count:], offset + count

    def _bytes_done(self) -> int:
        counted = ((self.parts.parts[number - 1].size, count) for number, count in self.state.pieces.items())
        return sum(min(size, count * self.parts.piece) for size, count in counted)

    def _fault(self, number: int, cause: str, *, unreadable: bool = False) -> Fault:
        return Fault(number, self.parts.parts[number - 1].name, cause, unreadable)
