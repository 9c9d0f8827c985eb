"""RFC 6962 Merkle trees: hashing, the compact right edge of a growing tree, and the checks of proofs.

Everything here is pure. Sizes and indexes count leaves; hashes are 32 raw bytes. Section numbers are RFC 6962's
(2.1 hashing and proofs) and RFC 9162's (2.1.3.2 and 2.1.4.2, the verification algorithms).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
_sha256 = hashlib.sha256


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a leaf: SHA-256(0x00 || entry)."""
    return _sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 || left || right)."""
    return _sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Root over ``hashes`` whose count is a power of two (a full tile, or an aligned part of one)."""
    level = list(hashes)
    while len(level) > 1:
        level = [_sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def fold(peaks: Iterable[bytes]) -> bytes:
    """Root of a tree whose perfect subtrees, largest first, have the roots ``peaks``."""
    root = b""
    for peak in reversed(list(peaks)):
        root = node_hash(peak, root) if root else peak
    return root or EMPTY_ROOT


@dataclass
class CompactTree:
    """The right edge of a growing tree: its size, and the roots of its perfect subtrees, largest first.

    One hash per appended leaf on average; ``root()`` costs log2(size). ``on_node`` is told of every perfect subtree
    as it completes, as (height, hash), lowest first: tiles are made of those whose height is a multiple of eight.
    """

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes, on_node: Callable[[int, bytes], None] | None = None) -> None:
        """Add the hash of the next leaf."""
        node, height, size = leaf, 0, self.size
        if on_node:
            on_node(0, node)
        while size & 1:
            node = _sha256(b"\x01" + self.peaks.pop() + node).digest()
            height += 1
            size >>= 1
            if on_node:
                on_node(height, node)
        self.peaks.append(node)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add the hashes of many leaves, telling nobody of nodes."""
        peaks, size = self.peaks, self.size
        for leaf in leaves:
            node, rest = leaf, size
            while rest & 1:
                node = _sha256(b"\x01" + peaks.pop() + node).digest()
                rest >>= 1
            peaks.append(node)
            size += 1
        self.size = size

    def append_perfect(self, root: bytes, height: int) -> None:
        """Add a perfect subtree of 2**height leaves; the size must be a multiple of that."""
        width = 1 << height
        if self.size % width:
            raise ValueError(f"a subtree of {width} leaves cannot start at {self.size}")
        node, size = root, self.size >> height
        while size & 1:
            node = node_hash(self.peaks.pop(), node)
            size >>= 1
        self.peaks.append(node)
        self.size += width

    def root(self) -> bytes:
        """The Merkle Tree Hash of everything appended so far."""
        return fold(self.peaks)

    def copy(self) -> CompactTree:
        """An independent tree that can be dropped when a batch fails."""
        return CompactTree(self.size, list(self.peaks))


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes | None:
    """Root that ``proof`` leads to for the leaf at ``index`` of ``size``; None when its length does not fit."""
    if not 0 <= index < size:
        return None
    node, position, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            return None
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        position >>= 1
        last >>= 1
    return node if last == 0 else None


def inclusion_holds(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether ``proof`` shows that the leaf hash is at ``index`` of the tree with this size and root."""
    return root_from_inclusion(index, size, leaf, proof) == root


def consistency_holds(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether ``proof`` shows that the old tree is a prefix of the new one."""
    if not 0 <= old_size <= new_size:
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT
    return _prefix_holds(old_size, old_root, new_size, new_root, list(proof))


def _prefix_holds(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: list[bytes]) -> bool:
    """RFC 9162, 2.1.4.2, for 0 < old_size < new_size."""
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    if position == 0:
        path.insert(0, old_root)  # the old tree is one perfect subtree of the new one
    if not path:
        return False
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and old == old_root and new == new_root
