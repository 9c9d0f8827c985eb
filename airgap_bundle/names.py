"""Names are data, never paths: what a file may be called so that it means the same on every medium and host.

A name must work on FAT32, NTFS, ext4 and APFS alike, so the intersection of their rules holds: no separators, no
reserved characters or device names, no trailing dot or space, NFC, at most 255 bytes and 255 UTF-16 units. Format
characters (bidi overrides, zero-width) are refused, because a name is also what a person reads.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from airgap_bundle.errors import UnsafeNameError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024
MAX_PATH_DEPTH = 32
_RESERVED = frozenset('<>:"/\\|?*')
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def check_name(name: str) -> str:
    """``name`` itself when it is one safe path component. Raises ``UnsafeNameError``."""
    if not name or name in {".", ".."}:
        raise UnsafeNameError(f"unsafe name {name!r}: it is no name of a file")
    for character in name:
        if character in _RESERVED or unicodedata.category(character) in _REFUSED_CATEGORIES:
            raise UnsafeNameError(f"unsafe name {name!r}: character U+{ord(character):04X} is not portable")
    if name != name.strip(" ") or name.endswith("."):
        raise UnsafeNameError(f"unsafe name {name!r}: a space at either end or a dot at the end does not survive FAT32")
    if name.split(".", 1)[0].rstrip(" ").casefold() in _DEVICES:
        raise UnsafeNameError(f"unsafe name {name!r}: it names a device on windows")
    if unicodedata.normalize("NFC", name) != name:
        raise UnsafeNameError(f"unsafe name {name!r}: not in unicode normal form c")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise UnsafeNameError(f"unsafe name {name[:60]!r}…: longer than {MAX_NAME_BYTES} bytes")
    return name


def printable(text: str) -> str:
    """``text`` on one line for a person: controls, line ends, bidi and zero-width characters become escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def check_path(path: str) -> str:
    """``path`` itself when it is relative, ``/``-separated and made of safe names. Raises ``UnsafeNameError``."""
    if len(path.encode(errors="surrogatepass")) > MAX_PATH_BYTES:
        raise UnsafeNameError(f"unsafe path {path[:60]!r}…: longer than {MAX_PATH_BYTES} bytes")
    parts = path.split("/")
    if len(parts) > MAX_PATH_DEPTH:
        raise UnsafeNameError(f"unsafe path {path[:60]!r}…: deeper than {MAX_PATH_DEPTH}")
    for part in parts:
        check_name(part)
    return path


def collision_key(name: str) -> str:
    """Two names with equal keys are one file on some file system (upper-casing, case folding, normalisation)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.upper()).upper().casefold())


def check_distinct(names: Iterable[str]) -> None:
    """Raise ``UnsafeNameError`` when two of ``names`` collide after normalisation and case folding."""
    seen: dict[str, str] = {}
    for name in names:
        key = collision_key(name)
        if key in seen:
            raise UnsafeNameError(f"names {seen[key]!r} and {name!r} are one file on some file system")
        seen[key] = name
