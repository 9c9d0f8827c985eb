"""The one ustar header that ``archive`` accepts (POSIX.1-1988, "ustar Interchange Format").

Refused by name, because each has carried an exploit elsewhere: links, devices, FIFOs, GNU and PAX extension members,
base-256 numbers, setuid, setgid and sticky bits, the pre-POSIX NUL type. One exception: a path too long for ustar comes
in a PAX record of its own, which may hold nothing else; ``archive`` compares the whole header with the one spelling.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from airgap_bundle.errors import FormatError

BLOCK = 512
PAX_NAME = "././@PaxHeader"
# Name in the ustar header of a member whose path is in the record before it.
LONG_NAME = "././@LongPath"
_MAX_RECORD = 2048
_KINDS = {
    b"\0": "a file in pre-POSIX spelling",
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"x": "a PAX header",
    b"g": "a global PAX header",
    b"L": "a GNU long name",
    b"K": "a GNU long link",
    b"S": "a GNU sparse file",
}
_OCTAL = re.compile(rb"[0-7]{1,11}[ \0]*")


@dataclass(frozen=True)
class Member:
    """A regular file or directory that a tar declares; the path is not checked yet."""

    path: str
    size: int
    directory: bool
    executable: bool


def parse_header(block: bytes) -> Member:
    """The member that ``block`` declares. Raises ``FormatError``."""
    if block[257:265] != b"ustar\x0000":
        raise FormatError("tar member is not in ustar format")
    unsigned = sum(block[:148]) + sum(block[156:]) + 8 * ord(" ")
    if _octal(block[148:156], "checksum") != unsigned:
        raise FormatError("tar header fails its checksum")
    path = _path(block)
    kind = block[156:157]
    if kind not in (b"0", b"5"):
        raise FormatError(f"tar member {path!r} is {_KINDS.get(kind, 'of an unknown type')}")
    mode = _octal(block[100:108], "mode")
    size = _octal(block[124:136], "size")
    if mode & 0o7000:
        raise FormatError(f"tar member {path!r} is setuid, setgid or sticky")
    if any(block[157:257]) or any(block[500:512]):
        raise FormatError(f"tar member {path!r} carries a link target or trailing bytes")
    directory = kind == b"5"
    if directory and size:
        raise FormatError(f"tar directory {path!r} declares {size} bytes")
    return Member(path.removesuffix("/") if directory else path, size, directory, bool(mode & 0o100))


def padding(size: int) -> bytes:
    """The zero bytes that follow ``size`` bytes of content."""
    return bytes(-size % BLOCK)


def path_record(path: str) -> bytes:
    """The PAX record of ``path``."""
    return pax_record("path", path)


def pax_record(key: str, value: str) -> bytes:
    """One PAX record: its own length in decimal, a space, ``key=value`` and a newline."""
    body = f" {key}={value}\n".encode()
    length = len(body) + len(str(len(body)))
    length = len(body) + len(str(length))
    return str(length).encode() + body


def record_size(block: bytes) -> int:
    """Length of the PAX record that the header ``block`` announces. Raises ``FormatError`` beyond any path's."""
    size = _octal(block[124:136], "size")
    if size > _MAX_RECORD:
        raise FormatError(f"tar member is a PAX header of {size} bytes")
    return size


def parse_record(record: bytes) -> str:
    """The path in ``record``. Raises ``FormatError`` for any other PAX record, and for more than one."""
    try:
        path = record.partition(b" path=")[2].removesuffix(b"\n").decode()
    except UnicodeDecodeError as error:
        raise FormatError("tar member name is not utf-8") from error
    if not path or record != path_record(path):
        raise FormatError("tar member is a PAX header that overrides more than a path")
    return path


def _path(block: bytes) -> str:
    name, prefix = _text(block[0:100]), _text(block[345:500])
    try:
        return (prefix + b"/" + name if prefix else name).decode()
    except UnicodeDecodeError as error:
        raise FormatError("tar member name is not utf-8") from error


def _text(field: bytes) -> bytes:
    text, _, rest = field.partition(b"\0")
    if any(rest):
        raise FormatError("tar text field holds bytes after its end")
    return text


def _octal(field: bytes, what: str) -> int:
    if not _OCTAL.fullmatch(field):
        raise FormatError(f"tar {what} is not octal")
    return int(field.rstrip(b" \0"), 8)
