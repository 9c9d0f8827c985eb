"""Inclusion and consistency proofs (RFC 6962, 2.1.1 and 2.1.2), and proofs of ranges, read from tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.merkle import CompactTree, node_hash
from appliance.audit.tiles import HEIGHT, WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.tiles import TileReader


def inclusion_proof(tiles: TileReader, index: int) -> list[bytes]:
    """PATH(index, D[0:size]), the leaf's sibling first. Raises ``IndexError`` when the tree has no such leaf."""
    if not 0 <= index < tiles.size:
        raise IndexError(f"entry {index} is not in a log of {tiles.size} entries")
    proof: list[bytes] = []
    start, end = 0, tiles.size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(tiles.range_root(middle, end))
            end = middle
        else:
            proof.append(tiles.range_root(start, middle))
            start = middle
    proof.reverse()
    return proof


def consistency_proof(tiles: TileReader, old_size: int) -> list[bytes]:
    """PROOF(old_size, D[0:size]). Raises ``IndexError`` when the tree was never that small or is smaller."""
    if not 0 <= old_size <= tiles.size:
        raise IndexError(f"a log of {tiles.size} entries does not extend one of {old_size}")
    if old_size in (0, tiles.size):
        return []
    proof: list[bytes] = []
    start, end, boundary_is_known = 0, tiles.size, True
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            proof.append(tiles.range_root(middle, end))
            end = middle
        else:
            proof.append(tiles.range_root(start, middle))
            start, boundary_is_known = middle, False
    if not boundary_is_known:
        proof.append(tiles.range_root(start, end))
    proof.reverse()
    return proof


def range_proof(tiles: TileReader, first: int, end: int) -> list[bytes]:
    """Roots of the subtrees that leaves ``first`` to ``end`` (excluded) are not in, from left to right.

    With the leaves they give the tree's root: a subtree without any of the range is taken whole, any other split as
    RFC 6962 splits it. Two hashes a level at most. Raises ``IndexError`` when the tree has no such range.
    """
    if not 0 <= first < end <= tiles.size:
        raise IndexError(f"entries {first} to {end - 1} are not in a log of {tiles.size} entries")
    proof: list[bytes] = []
    pending = [(0, tiles.size)]
    while pending:
        low, high = pending.pop()
        if high <= first or low >= end:
            proof.append(tiles.range_root(low, high))
        elif not first <= low < high <= end:
            middle = low + _split(high - low)
            pending += [(middle, high), (low, middle)]
    return proof


def range_holds(first: int, roots: Sequence[bytes], size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether whole bundles with these ``roots``, from entry ``first`` on, are in the tree of ``size`` and ``root``.

    ``proof`` is ``range_proof`` of their entries.
    """
    end = first + len(roots) * WIDTH
    if first % WIDTH or not 0 <= first < end <= size:
        return False
    beside = iter(proof)

    def node(low: int, high: int) -> bytes:
        if high <= first or low >= end:
            return next(beside)
        if first <= low and high <= end:
            tree = CompactTree()
            for one in roots[(low - first) // WIDTH : (high - first) // WIDTH]:
                tree.append_perfect(one, HEIGHT)
            return tree.root()
        middle = low + _split(high - low)
        return node_hash(node(low, middle), node(middle, high))

    try:
        return node(0, size) == root and next(beside, None) is None
    except StopIteration:
        return False


def _split(count: int) -> int:
    """The largest power of two smaller than ``count``."""
    return 1 << (count - 1).bit_length() - 1
