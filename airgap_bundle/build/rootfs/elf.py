"""Which shared libraries the executables of a tree name: an image that lacks one would fail where nobody can mend it.

ELF as the System V ABI has it, 64-bit little-endian; of each file the program headers and the dynamic section are read.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from airgap_bundle.build.rootfs.tree import File, Link

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airgap_bundle.build.rootfs.tree import Node

MAGIC = b"\x7fELF\x02\x01"
MAX_READ = 1 << 30
_HEADER = struct.Struct("<16xHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<qQ")
_LOAD, _DYNAMIC_SEGMENT = 1, 2
_END, _NEEDED, _STRINGS = 0, 1, 5
_LIBRARY = re.compile(r"\.so(\.[0-9.]+)?$")


def libraries(nodes: Mapping[str, Node]) -> tuple[list[str], list[str]]:
    """Names that files of the tree need, and names of libraries that it has, links included; both sorted."""
    needed: set[str] = set()
    for node in nodes.values():
        if isinstance(node, File) and _is_elf(node):
            needed.update(needed_by(b"".join(node.content.chunks())))
    there = {path.rsplit("/", 1)[-1] for path, node in nodes.items() if isinstance(node, File | Link)}
    return sorted(needed), sorted(name for name in there if _LIBRARY.search(name))


def _is_elf(node: File) -> bool:
    if not len(MAGIC) < node.content.size <= MAX_READ:
        return False
    return next(iter(node.content.chunks()), b"").startswith(MAGIC)


def needed_by(data: bytes) -> list[str]:
    """Libraries that the ELF file ``data`` names; none for a static or damaged one."""
    try:
        return list(_needed(data))
    except (struct.error, ValueError, UnicodeDecodeError):
        return []


def _needed(data: bytes) -> Iterator[str]:
    fields = _HEADER.unpack_from(data)
    start, width, count = fields[4], fields[8], fields[9]
    programs = [_PROGRAM.unpack_from(data, start + number * width) for number in range(count)]
    loads = [(address, offset, size) for kind, _, offset, address, _, size, _, _ in programs if kind == _LOAD]
    for kind, _, offset, _, _, size, _, _ in programs:
        if kind != _DYNAMIC_SEGMENT:
            continue
        entries = []
        for position in range(offset, offset + size, _DYNAMIC.size):
            tag, value = _DYNAMIC.unpack_from(data, position)
            if tag == _END:
                break
            entries.append((tag, value))
        address = next(value for tag, value in entries if tag == _STRINGS)
        strings = next(at + address - first for first, at, length in loads if first <= address < first + length)
        for tag, value in entries:
            if tag == _NEEDED:
                begin = strings + value
                yield data[begin : data.index(b"\0", begin)].decode("ascii")
