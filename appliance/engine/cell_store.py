"""Sequences of the context, in pairs, and the books of their cells. Owner thread only.

**Guards.** Every cell belongs to both sequences of a pair from the moment it is computed, so a sliding window never
lets llama.cpp reclaim it: it takes cells that one sequence alone owns, and no other (read in llama-kv-cache.cpp,
``find_slot``; tried, and shown by the tests on logits). A pair costs one number more and no cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.engine.cells import CellLedger

if TYPE_CHECKING:
    from appliance.engine.context import Memory

Pair = tuple[int, int]


class CellStore:
    """Hands out pairs of sequences and keeps count of what they own."""

    def __init__(self, memory: Memory, *, cells: int, sequences: int) -> None:
        self._memory = memory
        self._cells = cells
        self._ledger = CellLedger()
        self._free: list[Pair] = [(first, first + 1) for first in range(0, sequences - 1, 2)]

    @property
    def live(self) -> int:
        """Cells in use."""
        return self._ledger.live

    @property
    def free(self) -> int:
        """Cells that nobody owns."""
        return self._cells - self._ledger.live

    @property
    def pairs(self) -> int:
        """Pairs that nobody has."""
        return len(self._free)

    def take(self) -> Pair | None:
        """An empty pair, or ``None`` when all are in use."""
        return self._free.pop() if self._free else None

    def give(self, pair: Pair) -> None:
        """Return a pair with all it owns."""
        self.cut(pair, 0)
        self._free.append(pair)

    def appended(self, pair: Pair, count: int) -> None:
        """Note that a decode gave ``pair`` ``count`` cells."""
        self._ledger.append(pair, count)

    def length(self, pair: Pair) -> int:
        """Tokens of ``pair``, by the books."""
        return self._ledger.length(pair[0])

    def cells_of(self, pair: Pair) -> tuple[int, ...]:
        """The cells of ``pair``, by the books' own numbers; those that another pair shares are in both."""
        return self._ledger.cells(pair[0])

    def cut(self, pair: Pair, length: int) -> None:
        """Take what lies at ``length`` and above from both."""
        for sequence in pair:
            self._memory.cut(sequence, length)
            self._ledger.cut(sequence, length)

    def credits(self, pair: Pair, length: int) -> bool:
        """Whether the first ``length`` tokens of ``pair`` are all there for whoever goes on from them.

        The cells are asked, not the books: a window may have hidden some, and a restored state lacks those that its
        window hid. ``length`` tokens count only where every layer has all that token ``length`` will look at.
        """
        lowest, highest = self._memory.extent(pair[0])
        window = self._memory.window
        return 0 <= lowest <= (max(0, length - window) if window else 0) and highest >= length - 1

    def share(self, source: Pair, target: Pair, length: int) -> None:
        """``target``, which is empty, begins with the first ``length`` tokens of ``source``."""
        for sequence in target:
            self._memory.share(source[0], sequence, length)
            self._ledger.share(source[0], sequence, length)

    def save(self, pair: Pair) -> bytearray:
        """A copy that ``restore`` takes."""
        return self._memory.save(pair[0])

    def restore(self, pair: Pair, state: bytearray, length: int) -> bool:
        """Fill the empty ``pair`` with a saved state of ``length`` tokens; false when it cannot be had whole."""
        if not self._memory.restore(pair[0], state):
            return False
        self._memory.share(pair[0], pair[1], length)
        self._ledger.append(pair, length)
        if self._memory.extent(pair[0])[1] != length - 1 or not self.credits(pair, length):
            self.cut(pair, 0)
            return False
        return True

    def resync(self, pair: Pair, length: int) -> bool:
        """Go back to ``length`` tokens after a decode that failed; false, and empty, when they are not all there."""
        for sequence in pair:
            self._memory.cut(sequence, length)
        whole = all(self._memory.extent(sequence)[1] == length - 1 for sequence in pair)
        if length == 0 or (whole and self.credits(pair, length)):
            return length > 0
        self.cut(pair, 0)
        return False

    def forget(self) -> None:
        """The context was cleared: nobody owns anything. Pairs stay with whoever has them."""
        self._ledger.clear()
