"""C2SP tlog-tiles on disk: names of tiles and entry bundles, their encoding, and reading them for a given tree size.

A tile holds up to 256 hashes of one level (level 0 are leaf hashes, each hash of level n+1 is the root of a full tile
of level n); an entry bundle holds the same 256 entries as its level-0 tile, each behind its length in 16 bits. A tile
that is not full lies in a folder of its own, one file per width, until the full one exists.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.audit.errors import EntryPrunedError
from appliance.audit.merkle import HASH_BYTES, fold, node_hash, perfect_root
from appliance.audit.regular_file import read_regular
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

WIDTH = 256
HEIGHT = 8
MAX_ENTRY_BYTES = 65_535
CHECKPOINT = "checkpoint"
TILES = "tile"
_LENGTH = struct.Struct(">H")
_CACHED_TILES = 64
_MOST_BYTES = WIDTH * (MAX_ENTRY_BYTES + 2) + 1


def tile_path(level: int | None, index: int, width: int = WIDTH) -> str:
    """Path of a tile relative to the log; ``level`` None names the entry bundle. Width 256 is a full one."""
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:  # noqa: PLR2004 - three decimal digits per folder
        index //= 1000
        groups.insert(0, f"x{index % 1000:03d}")
    name = f"{TILES}/{'entries' if level is None else level}/{'/'.join(groups)}"
    return name if width == WIDTH else f"{name}.p/{width}"


def level_width(size: int, level: int) -> int:
    """Number of hashes at ``level`` of a tree of ``size`` leaves."""
    return size >> (HEIGHT * level)


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """An entry bundle: each entry behind its length."""
    return b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)


def decode_entries(data: bytes, limit: int = WIDTH) -> tuple[list[bytes], int]:
    """The complete entries at the beginning of ``data``, at most ``limit``, and how many bytes they take.

    A bundle is whole when that is all of it; what follows is a torn or foreign tail, for the caller to judge.
    """
    entries: list[bytes] = []
    position, size = 0, len(data)
    while position + 2 <= size and len(entries) < limit:
        end = position + 2 + (data[position] << 8 | data[position + 1])
        if end > size:
            break
        entries.append(data[position + 2 : end])
        position = end
    return entries, position


def unpack_bundle(data: bytes, width: int, *, exact: bool) -> tuple[list[bytes], bool]:
    """The bundle's entries, and whether bytes follow that are no whole entry; ``exact``: it lies under its own name.

    A bundle under its own name holds its width and nothing more, so everything is unpacked; a full one that stands in
    for a partial one may hold more, which is not this tree's business.
    """
    entries, used = decode_entries(data, len(data) if exact else width)
    return entries, used != len(data) and (exact or len(entries) < width)


def split_hashes(data: bytes) -> list[bytes]:
    """The hashes of a tile's bytes."""
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


@dataclass
class TileReader:
    """Reads tiles and bundles of the tree with ``size`` leaves; a full tile stands in for a partial one.

    What is missing or too short raises ``LogInconsistentError`` naming the file. Reads are cached (tiles are
    immutable), so one reader serves many proofs; it is for one thread. ``ahead`` holds tiles and bundles that are not
    on disk yet, by path: what a journal adds.
    """

    directory: Path
    size: int
    ahead: Mapping[str, bytes] = field(default_factory=dict)
    pruned: int = 0
    """Entries before this position need not be there."""
    _cache: OrderedDict[tuple[int, int], bytes] = field(default_factory=OrderedDict)

    def width(self, level: int | None, index: int) -> int:
        """How many hashes (or entries) this tile has in this tree; 0 when it does not exist."""
        return max(0, min(WIDTH, level_width(self.size, level or 0) - index * WIDTH))

    def tile(self, level: int, index: int) -> bytes:
        """Exactly the bytes of this tree's tile."""
        key = (level, index)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        wanted = self.width(level, index) * HASH_BYTES
        data = self.read(level, index)
        if len(data) < wanted:
            raise LogInconsistentError(f"tile {tile_path(level, index)} is cut: {len(data)} of {wanted} bytes")
        self._cache[key] = data[:wanted]
        if len(self._cache) > _CACHED_TILES:
            self._cache.popitem(last=False)
        return self._cache[key]

    def read(self, level: int | None, index: int) -> bytes:
        """The stored bytes of a tile or bundle, of this width or, where that is gone, the full one: ``exact`` tells."""
        width = self.width(level, index)
        names = [tile_path(level, index, width)] + ([tile_path(level, index)] if width != WIDTH else [])
        for name in names:
            if name in self.ahead:
                return self.ahead[name]
            try:
                return read_regular(self.directory / name, _MOST_BYTES)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise LogInconsistentError(f"{name} cannot be read: {error.strerror}") from error
        if level is None and index * WIDTH < self.pruned:
            raise EntryPrunedError(index * WIDTH, self.pruned)
        raise LogInconsistentError(f"{names[0]} is missing")

    def exact(self, level: int | None, index: int) -> bool:
        """Whether ``read`` finds the tile under its own name, so that it may hold nothing beyond its width."""
        name = tile_path(level, index, self.width(level, index))
        return name in self.ahead or (self.directory / name).is_file()

    def padded(self, level: int, index: int) -> bool:
        """Whether a tile under its own name holds more than its hashes."""
        return self.exact(level, index) and len(self.read(level, index)) > self.width(level, index) * HASH_BYTES

    def entries(self, index: int) -> list[bytes]:
        """The entries of bundle ``index`` of this tree."""
        width = self.width(None, index)
        entries, _ = decode_entries(self.read(None, index), width)
        if len(entries) < width:
            raise LogInconsistentError(f"{tile_path(None, index, width)} is cut after {len(entries)} entries")
        return entries

    def entry(self, index: int) -> bytes:
        """One entry by its position in the log."""
        return self.entries(index // WIDTH)[index % WIDTH]

    def node(self, height: int, index: int) -> bytes:
        """Root of the perfect subtree of 2**height leaves that begins at leaf index * 2**height."""
        level, inside = divmod(height, HEIGHT)
        first = index << inside
        data = self.tile(level, first // WIDTH)
        start = first % WIDTH * HASH_BYTES
        return perfect_root(split_hashes(data[start : start + (HASH_BYTES << inside)]))

    def peaks(self) -> list[bytes]:
        """Roots of the tree's perfect subtrees, largest first."""
        peaks, start = [], 0
        for height in reversed(range(self.size.bit_length())):
            if self.size >> height & 1:
                peaks.append(self.node(height, start >> height))
                start += 1 << height
        return peaks

    def root(self) -> bytes:
        """Root of the tree, computed from the tiles of its right edge."""
        return fold(self.peaks())

    def range_root(self, start: int, end: int) -> bytes:
        """MTH(D[start:end]) where ``start`` is a multiple of the largest power of two below the range's length."""
        count = end - start
        if count & (count - 1) == 0:
            return self.node(count.bit_length() - 1, start // count)
        split = 1 << (count - 1).bit_length() - 1
        return node_hash(self.range_root(start, start + split), self.range_root(start + split, end))
