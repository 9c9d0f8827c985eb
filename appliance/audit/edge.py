"""The growing right edge of the log: which files a batch of entries makes.

Pure. An ``Edge`` is a value: ``grow`` returns the files and the next edge, and the writer keeps the old edge until the
new checkpoint is durable, so that a failed batch leaves nothing to undo in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.audit.merkle import CompactTree, leaf_hash
from appliance.audit.tiles import HEIGHT, WIDTH, TileReader, encode_entries, split_hashes, tile_path
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Growth:
    """What a batch makes: full tiles, folders of partial ones that they replace, and the next edge."""

    full: dict[str, bytes]
    obsolete: list[str]
    edge: Edge
    before: int

    @property
    def files(self) -> dict[str, bytes]:
        """Every file to write: the full tiles, and partial ones for the final size only."""
        return self.full | self.edge.partial_files(self.before)


@dataclass(frozen=True)
class Edge:
    """The tree so far, the hashes of every level's unfinished tile, and the entries of the unfinished bundle."""

    tree: CompactTree = field(default_factory=CompactTree)
    levels: tuple[tuple[bytes, ...], ...] = ()
    tail: tuple[bytes, ...] = ()

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.tree.size

    def grow(self, entries: Sequence[bytes]) -> Growth:
        """Append ``entries``."""
        pen, begin = _Pen(self), 0
        while begin < len(entries):
            begin += pen.write(entries[begin : begin + pen.room])
        return pen.finish()

    def partial_files(self, before: int) -> dict[str, bytes]:
        """The unfinished tiles and bundle, as far as a tree of ``before`` entries had others."""
        files: dict[str, bytes] = {}
        if self.tail and before != self.size:
            files[tile_path(None, self.size // WIDTH, len(self.tail))] = encode_entries(self.tail)
        return files | self.partial_tiles(before)

    def partial_tiles(self, before: int = 0) -> dict[str, bytes]:
        """The unfinished tiles alone."""
        files: dict[str, bytes] = {}
        for level, hashes in enumerate(self.levels):
            width = self.size >> (HEIGHT * level)
            if hashes and width != before >> (HEIGHT * level):
                files[tile_path(level, width // WIDTH, len(hashes))] = b"".join(hashes)
        return files

    @classmethod
    def read(cls, tiles: TileReader, root: bytes) -> Edge:
        """The edge of a stored tree.

        Raises ``LogInconsistentError`` when its last bundle and tile disagree, or its root is not ``root``.
        """
        levels, level = [], 0
        while tiles.size >> (HEIGHT * level):
            index, width = divmod(tiles.size >> (HEIGHT * level), WIDTH)
            levels.append(tuple(split_hashes(tiles.tile(level, index))) if width else ())
            level += 1
        tail = tuple(tiles.entries(tiles.size // WIDTH)) if tiles.size % WIDTH else ()
        if tail and tuple(map(leaf_hash, tail)) != levels[0]:
            raise LogInconsistentError(f"{tile_path(None, tiles.size // WIDTH, len(tail))} was changed")
        tree = CompactTree(tiles.size, tiles.peaks())
        if tree.root() != root:
            raise LogInconsistentError(
                "the log's tiles do not hash to its signed checkpoint", "run `sovereign audit verify` to see where"
            )
        return cls(tree, tuple(levels), tail)


class _Pen:
    """A scratch copy of an edge while a batch is written to it."""

    def __init__(self, edge: Edge) -> None:
        self._before = edge.size
        self._tree = edge.tree.copy()
        self._levels = [list(hashes) for hashes in edge.levels]
        self._tail = list(edge.tail)
        self._files: dict[str, bytes] = {}
        self._obsolete: list[str] = []

    @property
    def room(self) -> int:
        """How many entries complete the bundle."""
        return WIDTH - len(self._tail)

    def write(self, entries: Sequence[bytes]) -> int:
        """Append ``entries``, for which there is room; how many they are."""
        leaves = [leaf_hash(entry) for entry in entries]
        last = leaves.pop() if len(entries) == self.room else None
        self._tail += entries
        if leaves:
            if not self._levels:
                self._levels.append([])
            self._levels[0] += leaves
        if last is not None:
            self._full(None, self._tree.size // WIDTH, encode_entries(self._tail))
            self._tail = []
        self._tree.extend(leaves)  # they complete no tile: nobody asks for their nodes
        if last is not None:
            self._tree.append(last, self._node)
        return len(entries)

    def _node(self, height: int, root: bytes) -> None:
        level, rest = divmod(height, HEIGHT)
        if rest:
            return
        if level == len(self._levels):
            self._levels.append([])
        hashes = self._levels[level]
        hashes.append(root)
        if len(hashes) == WIDTH:
            # The tree counts the leaf that completes this tile only after telling of its nodes.
            self._full(level, self._tree.size >> (HEIGHT * (level + 1)), b"".join(hashes))
            hashes.clear()

    def _full(self, level: int | None, index: int, data: bytes) -> None:
        path = tile_path(level, index)
        self._files[path] = data
        self._obsolete.append(f"{path}.p")

    def finish(self) -> Growth:
        edge = Edge(self._tree, tuple(map(tuple, self._levels)), tuple(self._tail))
        return Growth(self._files, self._obsolete, edge, self._before)
