"""Which states are kept, whose they are, and which blocks are free. Pure; no locking of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.engine.kv.arena import BLOCK_BYTES, PLACE_BYTES
from appliance.engine.kv.sealing import blocks_of
from appliance.engine.prefix_tree import PrefixTree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from appliance.engine.job import Owner, Passage
    from appliance.engine.kv.index import Kept

_LIST_MOST = int(PLACE_BYTES * 0.9)
_PER_NUMBER = 8  # of the list: a token's or a block's number and a comma, at most
_PER_ENTRY = 512


class Catalogue:
    """Entries over ``block_count`` blocks."""

    def __init__(self, entries: Iterable[Kept], block_count: int) -> None:
        self._blocks = block_count
        self._free = set(range(block_count))
        self._entries: dict[tuple[Owner, tuple[int, ...]], Kept] = {}
        self._trees: dict[Owner, PrefixTree[Kept]] = {}
        for kept in entries:
            self._free.difference_update(kept.blocks)
            self._enter(kept)

    @property
    def entries(self) -> tuple[Kept, ...]:
        """All, the most recently used first."""
        return tuple(sorted(self._entries.values(), key=lambda kept: -kept.used))

    @property
    def used_blocks(self) -> int:
        """Blocks that are not free."""
        return self._blocks - len(self._free)

    def get(self, owner: Owner, tokens: tuple[int, ...]) -> Kept | None:
        """What is kept of exactly these tokens."""
        return self._entries.get((owner, tokens))

    def longest(self, tokens: tuple[int, ...], passages: Iterable[Passage]) -> Kept | None:
        """The longest entry that ``tokens`` begin with, among those that ``passages`` allow.

        A part of an entry is none: what a window hid is not in a saved state, so it counts at its full length only.
        """
        best: Kept | None = None
        for passage in passages:
            tree = self._trees.get(passage.owner)
            for kept, agreed in tree.match(tokens[: passage.length]).items() if tree is not None else ():
                if agreed == len(kept.tokens) > (len(best.tokens) if best is not None else 0):
                    best = kept
        return best

    def claim(self, length: int, token_count: int) -> tuple[int, ...] | None:
        """Blocks for a state of ``length`` bytes, for which those used longest ago go; None when it cannot fit."""
        need, listed = blocks_of(length, BLOCK_BYTES), token_count * _PER_NUMBER + _PER_ENTRY
        if need > self._blocks or listed > _LIST_MOST:
            return None
        while len(self._free) < need or self._listed() + listed > _LIST_MOST:
            if not self._entries:
                return None  # the rest is claimed for states that are being saved
            self.remove(min(self._entries.values(), key=lambda kept: kept.used))
        blocks = tuple(sorted(self._free)[:need])
        self._free.difference_update(blocks)
        return blocks

    def release(self, blocks: Iterable[int]) -> None:
        """Blocks that were claimed and not filled are free again."""
        self._free.update(blocks)

    def enter(self, kept: Kept) -> None:
        """Keep ``kept``, whose blocks were claimed, instead of what was kept of the same tokens."""
        if (before := self.get(kept.owner, kept.tokens)) is not None:
            self.remove(before)
        self._enter(kept)

    def used(self, kept: Kept, at: int) -> Kept:
        """``kept`` was used; the entry that says so."""
        self._leave(kept)
        again = kept.at(at)
        self._enter(again)
        return again

    def remove(self, kept: Kept) -> None:
        """Keep it no more, if it is still the one that is kept."""
        if self.get(kept.owner, kept.tokens) is kept:
            self._leave(kept)
            self._free.update(kept.blocks)

    def _listed(self) -> int:
        numbers = sum(len(kept.tokens) + len(kept.blocks) for kept in self._entries.values())
        return numbers * _PER_NUMBER + len(self._entries) * _PER_ENTRY

    def _enter(self, kept: Kept) -> None:
        self._entries[kept.owner, kept.tokens] = kept
        self._trees.setdefault(kept.owner, PrefixTree()).insert(kept.tokens, kept)

    def _leave(self, kept: Kept) -> None:
        del self._entries[kept.owner, kept.tokens]
        tree = self._trees[kept.owner]
        tree.remove(kept)
        if not len(tree):
            del self._trees[kept.owner]
