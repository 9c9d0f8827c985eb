"""How many cells are live, by our own books: llama.cpp does not tell.

A cell lives while at least one sequence owns it. Sharing a prefix adds an owner and takes no cell. The books name cells
by numbers of their own; which place llama.cpp gives a token does not matter here.
"""

from __future__ import annotations

from collections import defaultdict


class CellLedger:
    """Who owns which cells. Not safe from several threads; the owner thread keeps it."""

    def __init__(self) -> None:
        self._of: dict[int, list[int]] = defaultdict(list)
        self._owners: dict[int, int] = {}
        self._next = 0

    @property
    def live(self) -> int:
        """Cells that somebody owns."""
        return len(self._owners)

    def length(self, sequence: int) -> int:
        """Cells of one sequence."""
        return len(self._of[sequence])

    def cells(self, sequence: int) -> tuple[int, ...]:
        """The cells of one sequence, by number."""
        return tuple(self._of[sequence])

    def append(self, sequences: tuple[int, ...], count: int) -> None:
        """``count`` new cells at the end of every one of ``sequences``."""
        fresh = range(self._next, self._next + count)
        self._next += count
        for sequence in sequences:
            self._of[sequence].extend(fresh)
        self._owners.update(dict.fromkeys(fresh, len(sequences)))

    def share(self, source: int, target: int, length: int) -> None:
        """``target``, which is empty, owns the first ``length`` cells of ``source`` too."""
        shared = self._of[source][:length]
        self._of[target] = shared
        for cell in shared:
            self._owners[cell] += 1

    def cut(self, sequence: int, length: int) -> None:
        """Take what lies at ``length`` and above from ``sequence``."""
        cells = self._of[sequence]
        for cell in cells[length:]:
            self._owners[cell] -= 1
            if not self._owners[cell]:
                del self._owners[cell]
        del cells[length:]

    def clear(self) -> None:
        """Nobody owns anything."""
        self._of.clear()
        self._owners.clear()
