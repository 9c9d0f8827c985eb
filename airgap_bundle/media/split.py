"""Splitting: a bundle spread over media of a given size, straight from where it lies, without a packed copy between.

The parts are byte ranges of the packed bundle, so that ``cat`` puts them together where nothing else is at hand. The
signed list comes last and goes onto every medium: a set without a list was not finished.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from airgap_bundle import durable
from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError, SigningError, StoreError
from airgap_bundle.media.disk import check_room
from airgap_bundle.media.pack import open_whole, write_packed
from airgap_bundle.media.part_folder import MAX_PARTS, SET_NAME, list_name, part_name
from airgap_bundle.media.part_list import FAT32_MAX, Part, PartList, seal_list, sealers

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.blobs import Progress
    from airgap_bundle.keys import Signer
    from airgap_bundle.media.pack import Whole

MIN_PART = 1 << 16
DEFAULT_PART = 4_000_000_000
_PIECE, _MAX_PIECES = 16 << 20, 8000
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Of a medium's size, one part in this many is left to its file system.
_OVERHEAD = 50
_LIST_ROOM = 2 << 20


@dataclass(frozen=True)
class Plan:
    """How a set is cut: ``media_size`` None puts everything into one folder. Sizes in bytes."""

    part_size: int = DEFAULT_PART
    media_size: int | None = None
    name: str = "RELEASE"

    def check(self) -> None:
        """Raise ``FormatError`` for a plan that cannot be carried out on FAT32."""
        if not SET_NAME.fullmatch(self.name):
            raise FormatError(f"{self.name!r:.40} is no name of a set", "up to eight of A-Z and 0-9")
        if not MIN_PART <= self.part_size <= FAT32_MAX:
            raise FormatError(f"a part of {self.part_size} bytes does not fit FAT32", f"from {MIN_PART} to {FAT32_MAX}")
        if not self.per_medium:
            raise FormatError(
                f"a medium of {self.media_size} bytes has no room for a part of {self.part_size} and the list",
                "choose a smaller --part-size, or leave it away",
            )

    @property
    def per_medium(self) -> int:
        """How many parts one medium takes; all where its size does not matter."""
        return MAX_PARTS if self.media_size is None else _usable(self.media_size) // self.part_size


def plan_for(part_size: int | None, media_size: int | None, name: str) -> Plan:
    """The plan of a person who names what matters; without ``part_size``, parts fill media of ``media_size`` evenly.

    Raises ``FormatError`` for one that cannot be carried out.
    """
    if part_size is None and media_size is not None:
        usable = _usable(media_size)
        part_size = max(usable // max(-(-usable // DEFAULT_PART), 1), MIN_PART)
    plan = Plan(part_size or DEFAULT_PART, media_size, name)
    plan.check()
    return plan


def _usable(media_size: int) -> int:
    """What a medium has for parts: its file system and the list take the rest."""
    return max(media_size - media_size // _OVERHEAD - _LIST_ROOM, 0)


@dataclass(frozen=True)
class SplitSet:
    """What was written: the folders (one for each medium) with the names of their files."""

    release: str
    version: str
    size: int
    lacking: int
    media: dict[str, tuple[str, ...]]


def split(bundle: Path, out: Path, signer: Signer, plan: Plan, *, progress: Progress | None = None) -> SplitSet:
    """Write ``bundle`` as parts into ``out``, a new or empty folder; ``signer`` is the key that sealed it.

    Raises ``SigningError`` for another key, ``FormatError`` for a plan that does not work, ``StoreError``, and a
    ``VerificationError`` for a damaged bundle; what was written so far is removed then.
    """
    plan.check()
    with open_whole(bundle) as whole:
        held = {key.keyid for key in signer.public.keys}
        if all(held != {key.keyid for key in known.keys} for known in sealers(whole.root)):
            raise SigningError(f"{signer.name} did not seal this bundle", "the release key signs the list of parts")
        if -(-whole.size // plan.part_size) > MAX_PARTS:
            raise FormatError(f"the bundle would need more than {MAX_PARTS} parts", "choose larger parts")
        made = _make_empty(out)
        writer = _PartWriter(out, plan, _piece_size(whole.size))
        try:
            check_room(out, whole.size)
            return _write(whole, writer, signer, progress)
        except BaseException as error:
            writer.remove()
            if made:
                out.rmdir()
            if isinstance(error, OSError):
                raise StoreError(f"{out} cannot be written: {error.strerror}", "check free space and rights") from error
            raise


def _write(whole: Whole, writer: _PartWriter, signer: Signer, progress: Progress | None) -> SplitSet:
    done = write_packed(whole, cast("BinaryIO", writer), progress)
    writer.close_part()
    parts = PartList(
        done.release, done.version, whole.contents.release.info.number, writer.piece_size, tuple(writer.parts)
    )
    data = seal_list(parts, whole.roots, signer)
    return SplitSet(done.release, done.version, done.size, done.lacking, writer.finish(data))


def _make_empty(folder: Path) -> bool:
    """Whether ``folder`` was made here. Raises ``StoreError`` when it holds something."""
    try:
        if not folder.exists():
            folder.mkdir()
            return True
        if any(folder.iterdir()):
            raise StoreError(f"{folder} is not empty", "name a new folder")
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {error.strerror}", "name a new folder") from error
    return False


def _piece_size(total: int) -> int:
    piece = _PIECE
    while total // piece > _MAX_PIECES:
        piece *= 2
    return piece


@dataclass
class _PartWriter:
    """A sink that cuts what is written to it into parts, hashing each part and its pieces."""

    out: Path
    plan: Plan
    piece_size: int
    parts: list[Part] = field(default_factory=list)
    _paths: list[Path] = field(default_factory=list)
    _folders: dict[Path, list[str]] = field(default_factory=dict)
    _file: BinaryIO | None = None
    _size: int = 0

    def write(self, data: bytes) -> int:
        """Add ``data``, in as many parts as it takes."""
        view = memoryview(data)
        while view:
            if self._file is None or self._size == self.plan.part_size:
                self.close_part()
                self._open_part()
            view = view[self._write_some(view) :]
        return len(data)

    def _write_some(self, view: memoryview) -> int:
        assert self._file is not None
        room = min(self.plan.part_size - self._size, self.piece_size - self._size % self.piece_size)
        chunk = view[:room]
        self._file.write(chunk)
        self._whole.update(chunk)
        self._piece.update(chunk)
        self._size += len(chunk)
        if self._size % self.piece_size == 0:
            self._close_piece()
        return len(chunk)

    def _open_part(self) -> None:
        number = len(self.parts) + 1
        path = self._folder(number) / part_name(self.plan.name, number)
        self._file = os.fdopen(os.open(path, _FLAGS, 0o644), "wb")
        self._paths.append(path)
        self._folders[path.parent].append(path.name)
        self._size, self._pieces = 0, list[Digest]()
        self._whole, self._piece = hashlib.sha256(), hashlib.sha256()

    def _folder(self, number: int) -> Path:
        """The folder of part ``number``: ``out`` itself, or one for each medium."""
        if self.plan.media_size is None:
            folder = self.out
        else:
            folder = self.out / f"MEDIUM{(number - 1) // self.plan.per_medium + 1:02}"
            folder.mkdir(exist_ok=True)
        self._folders.setdefault(folder, [])
        return folder

    def _close_piece(self) -> None:
        self._pieces.append(Digest.from_hex(self._piece.hexdigest()))
        self._piece = hashlib.sha256()

    def close_part(self) -> None:
        """End the part that is being written; its bytes are on the medium then."""
        if self._file is None:
            return
        if self._size % self.piece_size:
            self._close_piece()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        digest = Digest.from_hex(self._whole.hexdigest())
        self.parts.append(Part(self._paths[-1].name, self._size, digest, tuple(self._pieces)))

    def finish(self, listing: bytes) -> dict[str, tuple[str, ...]]:
        """Put the list onto every medium; names by folder."""
        for folder, names in self._folders.items():
            path = folder / list_name(self.plan.name)
            self._paths.append(path)
            durable.replace(path, listing)
            names.append(path.name)
        return {str(folder): tuple(names) for folder, names in self._folders.items()}

    def remove(self) -> None:
        """Take away what was written."""
        if self._file is not None:
            with suppress(OSError):  # a full disk takes the rest of the buffer no better than the write before
                self._file.close()
        for path in self._paths:
            path.unlink(missing_ok=True)
        for folder in self._folders.keys() - {self.out}:
            folder.rmdir()
