"""Reading zip archives (wheels, distributions) that were fetched: regular files and directories, nothing else.

Names are checked as paths before anything is read; encrypted members, links, duplicates, methods other than stored and
deflated, bytes before the first member or after the directory (a file that is two things at once) and anything above
the caps is refused. `zipfile` decompresses and checks the CRC; it never writes to disk here.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from airgap_bundle.digest import CHUNK
from airgap_bundle.errors import BuildError, UnsafeNameError
from airgap_bundle.names import check_distinct, check_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_MEMBERS = 50_000
MAX_TOTAL = 8 << 30
MAX_WHOLE = 64 << 20
# What `zipfile` raises for damaged archives and members: more than its documentation says. A seek to a place that
# cannot be is an OSError, as is a disk that fails; both are told as the cause.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    OSError,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)
_ENCRYPTED = 0x1
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_END = struct.Struct("<4s16xH")


@dataclass(frozen=True)
class ZipMember:
    """A regular file of the archive, or a directory (``directory``)."""

    path: str
    size: int
    directory: bool
    executable: bool
    info: zipfile.ZipInfo


class StrictZip:
    """An open archive whose member list passed every check."""

    def __init__(self, archive: zipfile.ZipFile, members: dict[str, ZipMember], label: str) -> None:
        self._archive = archive
        self._label = label
        self.members = members

    def chunks(self, member: ZipMember) -> Iterator[bytes]:
        """The member's bytes. Raises ``BuildError`` when they are damaged or not as many as declared."""
        count = 0
        try:
            with self._archive.open(member.info) as stream:
                while piece := stream.read(CHUNK):
                    count += len(piece)
                    yield piece
        except ZIP_ERRORS as error:
            raise BuildError(f"{self._label}: {member.path}: {error}") from error
        if count != member.size:
            raise BuildError(f"{self._label}: {member.path} has {count} bytes, {member.size} declared")

    def copy(self, member: ZipMember, sink: IO[bytes]) -> None:
        """Write the member's bytes to ``sink``."""
        for piece in self.chunks(member):
            sink.write(piece)

    def read(self, path: str) -> bytes:
        """A small member, whole. Raises ``BuildError`` when it is not there, or larger than ``MAX_WHOLE`` bytes."""
        member = self.member(path)
        if member.size > MAX_WHOLE:
            raise BuildError(f"{self._label}: {path} has {member.size} bytes, at most {MAX_WHOLE} are read")
        return b"".join(self.chunks(member))

    def member(self, path: str) -> ZipMember:
        """The file ``path``. Raises ``BuildError`` when the archive has no such file."""
        found = self.members.get(path)
        if found is None or found.directory:
            raise BuildError(f"{self._label} has no file {path}")
        return found


@contextmanager
def open_zip(path: Path, label: str) -> Iterator[StrictZip]:
    """Open ``path``, known to people as ``label``. Raises ``BuildError`` as the module says."""
    try:
        archive = zipfile.ZipFile(path)
    except ZIP_ERRORS as error:
        raise BuildError(f"{label} is no zip archive: {error}") from error
    with archive:
        _check_extent(path, archive, label)
        yield StrictZip(archive, _members(archive, label), label)


def _check_extent(path: Path, archive: zipfile.ZipFile, label: str) -> None:
    """The archive is the whole file: another reader cannot find another archive, or a tar or a script, in it."""
    with path.open("rb") as stream:
        stream.seek(-_END.size, os.SEEK_END)
        magic, comment = _END.unpack(stream.read(_END.size))
    first = min((info.header_offset for info in archive.infolist()), default=0)
    if first or (magic, comment) != (b"PK\5\6", 0):
        raise BuildError(f"{label} holds more than a zip archive")


def _members(archive: zipfile.ZipFile, label: str) -> dict[str, ZipMember]:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS or sum(info.file_size for info in infos) > MAX_TOTAL:
        raise BuildError(f"{label} exceeds {MAX_MEMBERS} members or {MAX_TOTAL} bytes")
    members = [_member(info, label) for info in infos]
    try:
        check_distinct(member.path for member in members)
    except UnsafeNameError as error:
        raise BuildError(f"{label}: {error.cause}") from error
    found = {member.path: member for member in members}
    if len(found) != len(members):
        raise BuildError(f"{label} names a member twice")
    return found


def _member(info: zipfile.ZipInfo, label: str) -> ZipMember:
    directory = info.filename.endswith("/")
    try:
        path = check_path(info.filename.removesuffix("/"))
    except UnsafeNameError as error:
        raise BuildError(f"{label}: {error.cause}") from error
    mode = info.external_attr >> 16
    form = stat.S_IFMT(mode)
    if form not in (0, stat.S_IFDIR if directory else stat.S_IFREG):
        raise BuildError(f"{label}: {path} is neither a regular file nor a directory")
    if info.flag_bits & _ENCRYPTED or info.compress_type not in METHODS:
        raise BuildError(f"{label}: {path} is encrypted, or neither stored nor deflated")
    if mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX):
        raise BuildError(f"{label}: {path} is setuid, setgid or sticky")
    return ZipMember(path, info.file_size, directory, bool(mode & 0o111) and not directory, info)
