"""The smallest ELF files that name shared libraries."""

from __future__ import annotations

import struct

_HEAD, _PROGRAM, _ENTRY = 64, 56, 16


def elf(*needed: str) -> bytes:
    """A file that a loader would want ``needed`` for; static when there is none."""
    strings, names = b"\0", []
    for name in needed:
        names.append((1, len(strings)))
        strings += name.encode() + b"\0"
    count = 2 if needed else 1
    table = _HEAD + count * _PROGRAM
    entries = [*names, (5, table + _ENTRY * (len(names) + 2)), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in entries)
    size = table + len(dynamic) + len(strings)
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, 62, 1, 0, _HEAD, 0, 0, _HEAD, _PROGRAM, count, 0, 0, 0
    )
    programs = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, size, size, 4096)
    if needed:
        programs += struct.pack("<IIQQQQQQ", 2, 4, table, table, 0, len(dynamic), len(dynamic), 8)
    return head + programs + dynamic + strings
