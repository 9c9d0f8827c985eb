"""Aligned parts of a log, counted one by one: 65,536 entries each, whose Merkle root is a hash of a tile of level 2.

What a block's entries add up to belongs to that hash: whoever has both knows the figures of exactly these entries, as
long as the hash is of the tree that the checkpoint signs. Tiles below it are not read; that is for ``verify`` to do.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.audit.counting import Counting
from appliance.audit.errors import EntryPrunedError
from appliance.audit.merkle import CompactTree, leaf_hash, perfect_root
from appliance.audit.tally import Figures
from appliance.audit.tiles import HEIGHT, WIDTH, TileReader, split_hashes, unpack_bundle
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LEVEL = 2
"""The level of the tiles whose hashes are blocks' roots."""
_PARTS = 4
Days = dict[str, Figures]
"""Figures by day, in the order in which the days first occur."""


def block_size(level: int) -> int:
    """How many entries a block has."""
    return 1 << (HEIGHT * level)


def block_roots(tiles: TileReader, level: int) -> list[bytes]:
    """The roots of all full blocks as the tiles have them: not believed before ``tree_of`` gives the signed root."""
    return [tiles.node(HEIGHT * level, number) for number in range(tiles.size >> (HEIGHT * level))]


def tree_of(roots: list[bytes], leaves: list[bytes], level: int) -> CompactTree:
    """The tree of full blocks with these roots, followed by these leaf hashes."""
    tree = CompactTree()
    for root in roots:
        tree.append_perfect(root, HEIGHT * level)
    for leaf in leaves:
        tree.append(leaf)
    return tree


@dataclass
class Counted:
    """What was counted of a block, or of the entries behind the last: figures, hashes, and how many were pruned."""

    days: Days = field(default_factory=lambda: defaultdict(Figures))
    pruned: int = 0


@dataclass
class _Pass:
    """Bundle by bundle."""

    tiles: TileReader
    found: Counted = field(default_factory=Counted)

    def __post_init__(self) -> None:
        self._counting = Counting(self.found.days)

    def counted(self) -> Counted:
        """Everything that was taken."""
        self._counting.finish()
        return self.found

    def take(self, index: int) -> list[bytes]:
        """The entries of bundle ``index`` too; their leaf hashes, by the tile where they are pruned."""
        try:
            entries = _bundle(self.tiles, index)
        except EntryPrunedError:
            self.found.pruned += WIDTH
            return split_hashes(self.tiles.tile(0, index))
        count = self._counting.add
        for entry in entries:
            count(entry)
        return list(map(leaf_hash, entries))


def count_tail(tiles: TileReader, level: int) -> tuple[Counted, list[bytes]]:
    """The entries behind the last full block, and their leaf hashes."""
    reading, leaves = _Pass(tiles), list[bytes]()
    for index in range(tiles.size // block_size(level) * block_size(level) // WIDTH, -(-tiles.size // WIDTH)):
        leaves += reading.take(index)
    return reading.counted(), leaves


def parts(level: int) -> int:
    """In how many parts a block is counted: small ones, so that processors that share a log end together."""
    return min(_PARTS, block_size(level) // WIDTH)


def count_part(tiles: TileReader, number: int, level: int) -> tuple[Counted, bytes]:
    """Part ``number`` of all parts of a log's blocks, and the root that its entries have."""
    reading = _Pass(tiles)
    bundles = block_size(level) // WIDTH // parts(level)
    numbers = range(number * bundles, (number + 1) * bundles)
    root = perfect_root([perfect_root(reading.take(index)) for index in numbers])
    return reading.counted(), root


def count_stored_part(directory: Path, size: int, pruned: int, number: int, level: int) -> tuple[Counted, bytes]:
    """As ``count_part``, for a process of its own: a part that lies in tiles."""
    found, root = count_part(TileReader(directory, size, pruned=pruned), number, level)
    return Counted(dict(found.days), found.pruned), root


def join(counted: Sequence[tuple[Counted, bytes]]) -> tuple[Counted, bytes]:
    """A block, of its parts in order: they are added up in that order, whoever counted them."""
    whole = Counted()
    for part, _ in counted:
        whole.pruned += part.pruned
        for day, figures in part.days.items():
            whole.days[day].add(figures)
    return whole, perfect_root([root for _, root in counted])


def count_block(tiles: TileReader, number: int, level: int) -> tuple[Counted, bytes]:
    """Block ``number``, and the root that its entries have."""
    count = parts(level)
    return join([count_part(tiles, part, level) for part in range(number * count, (number + 1) * count)])


def _bundle(tiles: TileReader, index: int) -> list[bytes]:
    """A bundle's entries, as many as there must be. Raises ``LogInconsistentError``."""
    width = tiles.width(None, index)
    entries, torn = unpack_bundle(tiles.read(None, index), width, exact=tiles.exact(None, index))
    if torn or len(entries) < width or (len(entries) > width and tiles.exact(None, index)):
        raise LogInconsistentError(f"the bundle of entries {index * WIDTH} to {index * WIDTH + width - 1} was changed")
    return entries[:width]
