"""Whether a request's cells will be there: live cells plus what is expected, never the worst case. Pure.

An answer rarely becomes as long as it may. What it is expected to need is what answers came to lately; where that
turns out too little, a decode finds no cell, and room is made then (``preemption``). A part of the cells is kept for
users of whom nothing runs, so that nobody fills the context alone.
"""

from __future__ import annotations

_FIRST_GUESS = 128.0
_MEMORY = 0.9  # weight of the past in the moving average of answers' lengths
_MARGIN = 1.5
_KEPT_FREE = 8  # one cell in eight is kept for users of whom nothing runs


class Capacity:
    """Estimates for one context of ``cells`` cells."""

    def __init__(self, cells: int) -> None:
        self._cells = cells
        self._answer = _FIRST_GUESS

    def expected(self, room: int) -> int:
        """Tokens that an answer will still get of the ``room`` it has."""
        return min(room, int(self._answer * _MARGIN))

    def observe(self, completion_tokens: int) -> None:
        """An answer had so many tokens."""
        self._answer = _MEMORY * self._answer + (1 - _MEMORY) * completion_tokens

    def shortage(self, need: int, *, free: int, promised: int, first: bool) -> int:
        """Cells that are missing for a request that needs ``need`` while ``promised`` of the ``free`` are spoken for.

        ``first``: nothing else of its user runs. Zero or less: it fits.
        """
        kept = 0 if first else self._cells // _KEPT_FREE
        return need + promised + kept - free
