"""Headers of the members of a packed bundle (FORMAT-media.md, "Packed"): ustar in the one spelling of section 5.

One thing is added, because weights outgrow ustar: a member of 8 GiB or more has its size in a PAX record of its own,
and zero in its ustar header. Any POSIX tar reads it.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle.archive import MAX_FILE
from airgap_bundle.errors import FormatError
from airgap_bundle.names import check_path
from airgap_bundle.tar_header import BLOCK, PAX_NAME, padding, parse_header, pax_record, record_size

if TYPE_CHECKING:
    from collections.abc import Callable

END = b"\0" * BLOCK * 2
_SIZE = re.compile(rb"[0-9]+ size=([1-9][0-9]{0,15})\n")


@dataclass(frozen=True)
class PackedMember:
    """One file of a packed bundle; ``header`` is how many bytes come before its content."""

    path: str
    size: int
    header: int

    @property
    def padding(self) -> int:
        """Zero bytes after the content."""
        return -self.size % BLOCK


def member_header(path: str, size: int) -> bytes:
    """The header of the file ``path``. Raises ``UnsafeNameError``, and ``FormatError`` for a path beyond ustar."""
    check_path(path)
    try:
        if size < MAX_FILE:
            return _block(path, tarfile.REGTYPE, size)
        record = pax_record("size", str(size))
        extended = _block(PAX_NAME, tarfile.XHDTYPE, len(record)) + record + padding(len(record))
        return extended + _block(path, tarfile.REGTYPE, 0)
    except ValueError as error:
        raise FormatError(f"{path} has no ustar spelling: {error}") from error


def packed_size(files: dict[str, int]) -> int:
    """Bytes of the packed file that holds ``files`` (sizes by path)."""
    return sum(len(member_header(path, size)) + size + -size % BLOCK for path, size in files.items()) + len(END)


def parse_member(block: bytes, more: Callable[[int], bytes]) -> PackedMember | None:
    """The member whose header begins with ``block``; None where the archive ends. ``more`` gives the bytes that follow.

    Raises ``FormatError`` for any other spelling, ``UnsafeNameError`` for the path, and what ``more`` raises.
    """
    if block == END[:BLOCK]:
        if more(BLOCK) != END[:BLOCK]:
            raise FormatError("packed bundle: one closing block instead of two")
        return None
    whole, size = block, None
    if block[156:157] == tarfile.XHDTYPE:
        length = record_size(block)
        record = more(length + -length % BLOCK)
        inner = more(BLOCK)
        whole, size, block = block + record + inner, _declared(record[:length]), inner
    found = parse_header(block)
    declared = found.size if size is None else size
    if found.directory or whole != member_header(found.path, declared):
        raise FormatError(f"packed bundle: member {found.path!r} is not in this format's one spelling")
    return PackedMember(found.path, declared, len(whole))


def _declared(record: bytes) -> int:
    match = _SIZE.fullmatch(record)
    if match is None:
        raise FormatError("packed bundle: a PAX header holds more than a size")
    return int(match[1])


def _block(name: str, kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode = kind, size, 0o644
    return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
