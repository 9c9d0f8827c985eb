"""A Debian package as a tree and its control fields. Its maintainer scripts are data that nobody reads.

Format: deb(5), version 2.0: an ar archive of `debian-binary`, `control.tar` and `data.tar`, the latter two plain or
compressed with gzip, xz or zstd.
"""

from __future__ import annotations

import lzma
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from airgap_bundle.build.debian.control import paragraphs
from airgap_bundle.build.rootfs.content import whole
from airgap_bundle.build.rootfs.tar_tree import read_tar
from airgap_bundle.build.rootfs.tree import File
from airgap_bundle.build.rootfs.zstd import Expansion
from airgap_bundle.digest import CHUNK
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from airgap_bundle.build.rootfs.tree import Node

MAX_UNPACKED = 4 << 30
MAX_CONTROL = 1 << 20
_MAGIC = b"!<arch>\n"
_HEADER = 60
_MEMORY = 256 << 20


@dataclass(frozen=True)
class Deb:
    """A package: the text of its control file, its fields, and the archive of its files."""

    control: str
    fields: Mapping[str, str]
    data: Path
    label: str

    def nodes(self) -> Iterator[tuple[str, Node]]:
        """Everything in it by path."""
        return read_tar(self.data, self.label)


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


class _Plain:
    def decompress(self, data: bytes, /) -> bytes:
        return data


def open_deb(path: Path, label: str, scratch: Path) -> Deb:
    """Read the package at ``path``; its archives are decompressed into ``scratch``. Raises ``BuildError``."""
    with path.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise BuildError(f"{label} is no debian package")
        first, size = _member(stream, label)
        if first != "debian-binary" or not stream.read(size).startswith(b"2."):
            raise BuildError(f"{label} is no debian package of version 2")
        control = _unpack(stream, "control.tar", scratch / f"{path.name}.control", label)
        data = _unpack(stream, "data.tar", scratch / f"{path.name}.data", label)
        if stream.read(1):
            raise BuildError(f"{label} has members that no package has")
    text = _control(control, label)
    fields = paragraphs(text)
    if len(fields) != 1 or not {"Package", "Version", "Architecture"} <= fields[0].keys():
        raise BuildError(f"{label} does not say which package it is")
    return Deb(text, fields[0], data, label)


def _control(archive: Path, label: str) -> str:
    for name, node in read_tar(archive, f"{label}, control"):
        if name == "control" and isinstance(node, File):
            return whole(node.content, MAX_CONTROL).decode("utf-8", "replace")
    raise BuildError(f"{label} has no control file")


def _member(stream: BinaryIO, label: str) -> tuple[str, int]:
    """Name and size of the next member, which the stream then stands at."""
    if stream.tell() % 2:
        stream.read(1)
    header = stream.read(_HEADER)
    if len(header) != _HEADER or header[58:] != b"`\n":
        raise BuildError(f"{label} is cut short")
    try:
        return header[:16].decode("ascii").rstrip(" /"), int(header[48:58].decode("ascii"))
    except ValueError as error:
        raise BuildError(f"{label} has a damaged header") from error


def _unpack(stream: BinaryIO, stem: str, out: Path, label: str) -> Path:
    """Decompress the member ``stem``, whichever compression it has, into ``out``."""
    name, size = _member(stream, label)
    suffix = name.removeprefix(stem)
    if size < 0 or not name.startswith(stem) or suffix not in {"", ".gz", ".xz", ".zst"}:
        raise BuildError(f"{label} has {name!r} where {stem} belongs")
    written, left, machine = 0, size, _decompressor(suffix)
    try:
        with out.open("wb") as sink:
            while left:
                piece = stream.read(min(left, CHUNK))
                if not piece:
                    raise BuildError(f"{label} is cut short")
                left -= len(piece)
                written += sink.write(machine.decompress(piece))
                if written > MAX_UNPACKED:
                    raise BuildError(f"{label} unpacks to more than {MAX_UNPACKED} bytes")
    except (lzma.LZMAError, zlib.error, EOFError) as error:
        raise BuildError(f"{label}: {name} is damaged: {error}") from error
    return out


def _decompressor(suffix: str) -> _Decompressor:
    if suffix == ".xz":
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY)
    if suffix == ".gz":
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    return Expansion() if suffix == ".zst" else _Plain()
