"""Cells as llama.cpp keeps them, trap included: the slot search takes what a window hides of a lone owner.

Two caches lie beside each other, as in a model with sliding-window layers: one that sees everything and one that sees
``window`` tokens. Both follow ``find_slot`` and ``apply_ubatch`` of llama-kv-cache.cpp, unified, to the letter: a cell
with one owner whose position the owner's next token cannot see is free for anybody; whoever loses one loses all before
it; ``seq_rm`` returns and says nothing; a saved state lacks what the window hides.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Cache:
    """Cells with owners, positions and tokens. ``window`` 0 sees everything."""

    def __init__(self, size: int, window: int) -> None:
        self.size, self.window = size, window
        self.owners: list[set[int]] = [set() for _ in range(size)]
        self.positions = [0] * size
        self.tokens = [0] * size
        self.of: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self.used = 0
        self.head = 0

    def hidden(self, position: int, at: int) -> bool:
        """Whether a token at ``at`` does not see ``position``."""
        return self.window > 0 and at - position >= self.window

    def _usable(self, cell: int) -> bool:
        owners = self.owners[cell]
        if not owners:
            return True
        if len(owners) > 1:
            return False
        (owner,) = owners
        return self.hidden(self.positions[cell], max(self.of[owner]) + 1)

    def find(self, count: int) -> list[int] | None:
        """Cells for ``count`` tokens, from the head on, or ``None``."""
        at = 0 if self.head > self.used + 2 * count else self.head
        found: list[int] = []
        for step in range(self.size):
            cell = (at + step) % self.size
            if self._usable(cell):
                found.append(cell)
                if len(found) == count:
                    return found
        return None

    def place(self, cells: Sequence[int], rows: Sequence[tuple[int, int, tuple[int, ...]]]) -> None:
        """Put (token, position, owners) into ``cells``; purge whoever lost a cell of every earlier one."""
        lost: dict[int, int] = {}
        for cell, (token, position, owners) in zip(cells, rows, strict=True):
            for owner in tuple(self.owners[cell]):
                lost[owner] = max(lost.get(owner, -1), self.positions[cell])
                self._drop(owner, self.positions[cell])
            self.positions[cell], self.tokens[cell] = position, token
            for owner in owners:
                self._add(owner, cell)
        for owner, position in lost.items():
            for earlier in [p for p in self.of[owner] if p <= position]:
                self._drop(owner, earlier)
        self.head = cells[-1] + 1 if cells else self.head

    def share(self, source: int, target: int, length: int) -> None:
        for position, cell in list(self.of[source].items()):
            if position < length:
                assert position not in self.of[target], "the target of a share is empty"
                self._add(target, cell)

    def cut(self, sequence: int, length: int) -> None:
        freed = [self._drop(sequence, p) for p in [p for p in self.of[sequence] if p >= length]]
        lowest = min((cell for cell in freed if cell is not None), default=self.size)
        self.head = min(self.head, lowest)

    def visible(self, sequence: int, at: int) -> tuple[int | None, ...]:
        """Tokens that a row at ``at`` of ``sequence`` looks at, in order; ``None`` where one is missing."""
        cells = self.of[sequence]
        first = max(0, at - self.window + 1) if self.window else 0
        return tuple(self.tokens[cells[p]] if p in cells else None for p in range(first, at + 1))

    def saved(self, sequence: int) -> list[tuple[int, int]]:
        """(token, position) of what the next token sees."""
        top = max(self.of[sequence], default=-1)
        return [(self.tokens[c], p) for p, c in sorted(self.of[sequence].items()) if not self.hidden(p, top)]

    def _add(self, owner: int, cell: int) -> None:
        self.used += not self.owners[cell]
        self.owners[cell].add(owner)
        self.of[owner][self.positions[cell]] = cell

    def _drop(self, owner: int, position: int) -> int | None:
        cell = self.of[owner].pop(position)
        self.owners[cell].discard(owner)
        self.used -= not self.owners[cell]
        return None if self.owners[cell] else cell


class WindowedMemory:
    """Implements ``appliance.engine.context.Memory`` and what decoding does to it."""

    def __init__(self, cells: int, window: int) -> None:
        self.window = window
        self.whole = Cache(cells, 0)
        self.sliding = Cache(cells, window)
        self.caches = (self.whole, self.sliding)

    def append(self, rows: Sequence[tuple[int, int, tuple[int, ...]]]) -> bool:
        """Place (token, position, owners); false, with nothing changed, when a cache has no room."""
        for _, position, owners in rows:
            for owner in owners:
                assert position - 1 in self.whole.of[owner] or position in (0, *(p for _, p, o in rows if owner in o))
        slots = [cache.find(len(rows)) for cache in self.caches]
        if any(slot is None for slot in slots):
            return False
        for cache, slot in zip(self.caches, slots, strict=True):
            assert slot is not None
            cache.place(slot, rows)
        return True

    def share(self, source: int, target: int, length: int) -> None:
        for cache in self.caches:
            cache.share(source, target, length)

    def cut(self, sequence: int, length: int) -> None:
        for cache in self.caches:
            cache.cut(sequence, length)

    def extent(self, sequence: int) -> tuple[int, int]:
        cells = self.sliding.of[sequence]
        return (min(cells), max(cells)) if cells else (-1, -1)

    def save(self, sequence: int) -> bytearray:
        return bytearray(pickle.dumps([cache.saved(sequence) for cache in self.caches]))

    def restore(self, sequence: int, state: bytearray) -> bool:
        parts = pickle.loads(state)
        slots = [cache.find(len(part)) if part else [] for cache, part in zip(self.caches, parts, strict=True)]
        if any(slot is None for slot in slots):
            return False
        for cache, slot, part in zip(self.caches, slots, parts, strict=True):
            assert slot is not None
            cache.place(slot, [(token, position, (sequence,)) for token, position in part])
        return True

    def wipe(self) -> None:
        """Nothing is left."""
        self.whole, self.sliding = Cache(self.whole.size, 0), Cache(self.sliding.size, self.window)
        self.caches = (self.whole, self.sliding)
