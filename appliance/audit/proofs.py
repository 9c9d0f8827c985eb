"""Inclusion and consistency proofs (RFC 6962, 2.1.1 and 2.1.2), and proofs of ranges, read from tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


def _split(count: int) -> int:
    """The largest power of two smaller than ``count``."""
    return 1 << (count - 1).bit_length() - 1
