"""Deterministic tar archives: one spelling when written, only that spelling when read.

Format: POSIX ustar, regular files and directories, sorted by path, mtime 0, owner 0:0 without names, mode 0644, 0755
for executables and directories, no padding beyond the two closing blocks. A path that does not fit a ustar header, and
no other, has one PAX record before it, ``path`` alone. Equal inputs give equal bytes.

``extract`` reads hostile input. Nothing is asked of a library: the header is parsed here, every path is checked as a
name, every file is created exclusively relative to its directory's descriptor with no link followed in any component.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from airgap_bundle.errors import FormatError
from airgap_bundle.names import check_distinct, check_path
from airgap_bundle.tar_header import (
    BLOCK,
    LONG_NAME,
    PAX_NAME,
    padding,
    parse_header,
    parse_record,
    path_record,
    record_size,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airgap_bundle.tar_header import Member

MAX_FILE = 8 << 30
_COPY = 1 << 20
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Entry:
    """One member to write: ``content`` is bytes or a file to read; None makes a directory."""

    path: str
    content: bytes | Path | None
    executable: bool = False


@dataclass(frozen=True)
class Limits:
    """Caps on an archive that is extracted."""

    members: int = 100_000
    total_bytes: int = 16 << 30


def write_tar(out: BinaryIO, entries: Iterable[Entry]) -> int:
    """Write ``entries`` to ``out`` as the module's docstring says; gives the number of bytes written.

    Raises ``UnsafeNameError`` for names that could not be extracted everywhere and ``FormatError`` for a file of 8 GiB
    or more, or one that changes its length while it is read.
    """
    ordered = sorted(entries, key=lambda entry: entry.path.encode())
    for entry in ordered:
        check_path(entry.path)
    check_distinct(entry.path for entry in ordered)
    return sum(_write_entry(out, entry) for entry in ordered) + out.write(b"\0" * BLOCK * 2)


def _write_entry(out: BinaryIO, entry: Entry) -> int:
    if entry.content is None:
        return out.write(_header(entry, 0))
    with _opened(entry.content) if isinstance(entry.content, Path) else io.BytesIO(entry.content) as source:
        size = source.seek(0, os.SEEK_END)
        source.seek(0)
        if size >= MAX_FILE:
            raise FormatError(f"{entry.path} has {size} bytes; a ustar header counts to {MAX_FILE - 1}")
        written = out.write(_header(entry, size))
        copied = 0
        while chunk := source.read(_COPY):
            copied += out.write(chunk)
    if copied != size:
        raise FormatError(f"{entry.path} changed its length while it was read")
    return written + copied + out.write(padding(size))


def _opened(path: Path) -> BinaryIO:
    """The regular file at ``path``; a link is not followed, and nothing is waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FormatError(f"{path} is no regular file")
    return os.fdopen(descriptor, "rb")


def _header(entry: Entry, size: int) -> bytes:
    """The one spelling of a member's header: a ustar block, after a PAX ``path`` record where ustar has no room."""
    kind = tarfile.DIRTYPE if entry.content is None else tarfile.REGTYPE
    mode = 0o755 if entry.executable or entry.content is None else 0o644
    try:
        return _block(entry.path, kind, size, mode)
    except ValueError:
        record = path_record(entry.path)
        extended = _block(PAX_NAME, tarfile.XHDTYPE, len(record), 0o644)
        return extended + record + padding(len(record)) + _block(LONG_NAME, kind, size, mode)


def _block(name: str, kind: bytes, size: int, mode: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode = kind, size, mode
    return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")


def extract(tar: BinaryIO, dest: Path, limits: Limits = Limits()) -> int:
    """Extract ``tar`` into ``dest`` (made when missing; must be empty) and give the number of members.

    Raises ``FormatError`` for anything but regular files and directories in the one spelling above, for a breach of
    ``limits`` (checked against declared sizes before a byte is written), truncation and trailing data, and
    ``UnsafeNameError`` for names. On a refusal the caller discards ``dest``: what was extracted so far is still there.
    """
    dest.mkdir(mode=0o755, exist_ok=True)
    if any(dest.iterdir()):
        raise FormatError(f"{dest} is not empty")
    root = os.open(dest, _DIRECTORY_FLAGS)
    try:
        return _extract_members(tar, root, limits)
    finally:
        os.close(root)


def read_files(tar: BinaryIO, limits: Limits, most: int) -> Iterator[tuple[str, bytes]]:
    """Every file of ``tar`` by its path, one after the other as the archive passes, none of more than ``most`` bytes.

    Raises as ``extract``, and ``FormatError`` for a directory. That the archive is whole is known at the end alone.
    """
    for member in _members(tar, limits):
        if member.directory or member.size > most:
            raise FormatError(f"tar member {member.path!r} is no file of {most} bytes or less")
        data = _read_exactly(tar, member.size)
        if any(_read_exactly(tar, -member.size % BLOCK)):
            raise FormatError(f"tar pads {member.path} with data")
        yield member.path, data


def _extract_members(tar: BinaryIO, root: int, limits: Limits) -> int:
    count = 0
    for count, member in enumerate(_members(tar, limits), 1):  # noqa: B007 - how many there were
        _extract_member(tar, root, member)
    return count


def _members(tar: BinaryIO, limits: Limits) -> Iterator[Member]:
    """Every member, in the one spelling; who takes it reads its content before the next."""
    budget = limits.total_bytes
    paths: list[str] = []
    while (block := _read_exactly(tar, BLOCK)) != b"\0" * BLOCK:
        member, header = _read_header(tar, block)
        path = check_path(member.path)
        if header != _header(Entry(path, None if member.directory else b"", member.executable), member.size):
            raise FormatError(f"tar member {path!r} is not in this format's one spelling")
        if paths and path.encode() <= paths[-1].encode():
            raise FormatError(f"tar member {path!r} occurs twice or out of order")
        paths.append(path)
        budget -= member.size
        if len(paths) > limits.members or budget < 0:
            raise FormatError(f"tar exceeds {limits.members} members or {limits.total_bytes} bytes")
        yield member
    check_distinct(paths)
    if _read_exactly(tar, BLOCK) != b"\0" * BLOCK or tar.read(1):
        raise FormatError("tar does not end after its two closing blocks")


def _read_header(tar: BinaryIO, block: bytes) -> tuple[Member, bytes]:
    """The member that begins with ``block``, and all bytes of its header."""
    if block[156:157] != tarfile.XHDTYPE:
        return parse_header(block), block
    size = record_size(block)
    record = _read_exactly(tar, size + -size % BLOCK)
    inner = _read_exactly(tar, BLOCK)
    return replace(parse_header(inner), path=parse_record(record[:size])), block + record + inner


def _extract_member(tar: BinaryIO, root: int, member: Member) -> None:
    *parents, name = member.path.split("/")
    directory = _open_parents(root, parents)
    try:
        if member.directory:
            _make_directory(directory, name)
        else:
            mode = 0o755 if member.executable else 0o644
            _write_file(tar, os.open(name, _CREATE_FLAGS, mode, dir_fd=directory), member)
    finally:
        os.close(directory)


def _open_parents(root: int, parents: list[str]) -> int:
    """Descriptor of the innermost of ``parents``, which are made when missing; no link is followed."""
    current = os.dup(root)
    for part in parents:
        _make_directory(current, part)
        try:
            inner = os.open(part, _DIRECTORY_FLAGS, dir_fd=current)
        except OSError as error:
            raise FormatError(f"tar uses {part!r} both as a file and as a directory") from error
        finally:
            os.close(current)
        current = inner
    return current


def _make_directory(parent: int, name: str) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:
        return


def _write_file(tar: BinaryIO, descriptor: int, member: Member) -> None:
    with os.fdopen(descriptor, "wb") as out:
        left = member.size
        while left:
            chunk = _read_exactly(tar, min(left, _COPY))
            out.write(chunk)
            left -= len(chunk)
    if any(_read_exactly(tar, -member.size % BLOCK)):
        raise FormatError(f"tar pads {member.path} with data")


def _read_exactly(tar: BinaryIO, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        chunk = tar.read(count - len(parts))
        if not chunk:
            raise FormatError("tar is cut short")
        parts += chunk
    return parts
