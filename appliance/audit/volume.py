"""A volume of an archive: up to 256 entry bundles, each deflated behind its length in 32 bits. Pure.

A volume is read with its bounds known: a bundle is never more than its 256 entries can be, whatever it says it is.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from appliance.audit.errors import ArchiveError
from appliance.audit.tiles import MAX_ENTRY_BYTES, WIDTH, decode_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BUNDLES = 256
MAX_BUNDLE_BYTES = WIDTH * (MAX_ENTRY_BYTES + 2)
MAX_VOLUME_BYTES = BUNDLES * (MAX_BUNDLE_BYTES + 1024)
_LENGTH = struct.Struct(">I")
_LEVEL = 9


def encode_volume(bundles: Sequence[bytes]) -> bytes:
    """The volume of these bundles."""
    packed = [zlib.compress(bundle, _LEVEL) for bundle in bundles]
    return b"".join(_LENGTH.pack(len(one)) + one for one in packed)


def decode_volume(data: bytes, count: int) -> Iterator[tuple[bytes, list[bytes]]]:
    """Its ``count`` bundles, each as bytes and as entries. Raises ``ArchiveError`` unless it holds exactly these."""
    start = 0
    for number in range(count):
        end = start + _LENGTH.size
        length = _LENGTH.unpack_from(data, start)[0] if end <= len(data) else 0
        bundle = _inflate(data[end : end + length]) if 0 < length <= len(data) - end else b""
        entries, used = decode_entries(bundle, WIDTH)
        if len(entries) != WIDTH or used != len(bundle):
            raise ArchiveError(f"its bundle {number} does not hold {WIDTH} whole entries")
        yield bundle, entries
        start = end + length
    if start != len(data):
        raise ArchiveError("bytes follow its last bundle")


def _inflate(packed: bytes) -> bytes:
    """The bundle; nothing when it is damaged, or more than a bundle can be."""
    stream = zlib.decompressobj()
    try:
        bundle = stream.decompress(packed, MAX_BUNDLE_BYTES)
    except zlib.error:
        return b""
    return bundle if stream.eof and not stream.unused_data else b""
