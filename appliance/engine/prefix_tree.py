"""A radix tree over token ids: who holds which beginning of a prompt, to the token.

A *holder* (any hashable) holds the tokens of one path from the root. Matching a prompt names, for every holder, how far
it agrees with the prompt; agreement may end inside an edge. The tree knows nothing of users: there is one tree for each
scope and owner (``prefixes``), so that a walk cannot meet what is not its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

H = TypeVar("H", bound="Hashable")


@dataclass(eq=False)
class _Node(Generic[H]):
    """An edge and what lies below it. ``holders`` hold the whole edge; the edge is never empty, but at the root."""

    edge: tuple[int, ...]
    holders: set[H] = field(default_factory=set)
    children: dict[int, _Node[H]] = field(default_factory=dict)


class PrefixTree(Generic[H]):
    """Maps holders to token paths."""

    def __init__(self) -> None:
        self._root: _Node[H] = _Node(())
        self._paths: dict[H, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, holder: H) -> bool:
        return holder in self._paths

    def path(self, holder: H) -> tuple[int, ...]:
        """The tokens that ``holder`` holds. Raises ``KeyError``."""
        return self._paths[holder]

    def insert(self, tokens: tuple[int, ...], holder: H) -> None:
        """``holder`` holds ``tokens``. Raises ``ValueError`` when it holds something already, or holds nothing."""
        if holder in self._paths or not tokens:
            raise ValueError("a holder holds one path, and at least one token")
        self._paths[holder] = tokens
        node, depth = self._root, 0
        while depth < len(tokens):
            child = node.children.get(tokens[depth])
            if child is None:
                node.children[tokens[depth]] = _Node(tokens[depth:], {holder})
                return
            agreed = agreement(child.edge, tokens[depth:])
            if agreed < len(child.edge):
                child = self._split(node, child, agreed)
            child.holders.add(holder)
            node, depth = child, depth + agreed

    def remove(self, holder: H) -> None:
        """``holder`` holds nothing any more. Raises ``KeyError`` when it held nothing."""
        tokens = self._paths.pop(holder)
        trail, node, depth = [self._root], self._root, 0
        while depth < len(tokens):
            node = node.children[tokens[depth]]
            node.holders.discard(holder)
            trail.append(node)
            depth += len(node.edge)
        for parent, child in zip(reversed(trail[:-1]), reversed(trail[1:]), strict=True):
            if not child.holders:
                del parent.children[child.edge[0]]
            else:
                self._join(child)

    def match(self, tokens: tuple[int, ...]) -> dict[H, int]:
        """Every holder that agrees with ``tokens`` from the first one on, and for how many tokens."""
        found: dict[H, int] = {}
        node, depth = self._root, 0
        while depth < len(tokens) and (child := node.children.get(tokens[depth])) is not None:
            agreed = agreement(child.edge, tokens[depth:])
            depth += agreed
            found.update(dict.fromkeys(child.holders, depth))
            if agreed < len(child.edge):
                break
            node = child
        return found

    def edges(self) -> Iterator[tuple[tuple[int, ...], frozenset[H]]]:
        """All edges with their holders, for those who check the tree."""
        pending = list(self._root.children.values())
        while pending:
            node = pending.pop()
            yield node.edge, frozenset(node.holders)
            pending += node.children.values()

    @staticmethod
    def _split(parent: _Node[H], child: _Node[H], at: int) -> _Node[H]:
        upper = _Node(child.edge[:at], set(child.holders), {child.edge[at]: child})
        parent.children[child.edge[0]] = upper
        child.edge = child.edge[at:]
        return upper

    @staticmethod
    def _join(node: _Node[H]) -> None:
        """Make one edge of two that the same holders hold, so that the tree does not wear down to single tokens."""
        if len(node.children) == 1:
            (below,) = node.children.values()
            if below.holders == node.holders:
                node.edge, node.children = node.edge + below.edge, below.children


def agreement(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    """Length of the longest common beginning."""
    most = min(len(left), len(right))
    if left[:most] == right[:most]:
        return most
    low, high = 0, most  # left[:low] agrees, left[:high] does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if left[:middle] == right[:middle] else (low, middle)
    return low
